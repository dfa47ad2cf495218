package config

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/bulwark-go/bulwark/patterns/adaptive"
	"github.com/bulwark-go/bulwark/patterns/bulkhead"
	"github.com/bulwark-go/bulwark/patterns/circuitbreaker"
)

func TestTheEnvironmentOverridesTheFile(t *testing.T) {
	const text = "guards: { pay-ments.eu: { circuitbreaker: { open_for: 30s, probes: 3 } }, a: { adaptive: {} } }"
	f := mustParse(t, text, Environ(
		"BULWARK_GUARDS_PAY_MENTS_EU_OPEN_FOR=10s", "BULWARK_GUARDS_PAY_MENTS_EU_PROBES=default", "BULWARK_GUARDS_PAY_MENTS_EU_WINDOW=10s in 20 buckets",
		"BULWARK_GUARDS_A_PARTITIONS={gold: 0.5}", "BULWARK_GUARDS_A_ALGORITHM={aimd: {backoff: 0.5}}", "BULWARK_SOAK=1", "PATH=/bin",
	))
	if got, want := configOf(t, f, "pay-ments.eu"), (circuitbreaker.Config{OpenFor: 10 * time.Second, Window: circuitbreaker.During(10 * time.Second).Buckets(20)}); got != want {
		t.Errorf("%+v, want %+v", got, want)
	}
	if got := configOf(t, f, "a").(adaptive.Config); got.Algorithm != (adaptive.AIMD{Backoff: 0.5}) || got.Partitions == nil {
		t.Errorf("%+v", got)
	}
	t.Setenv("SHOP_A_MAX_WAITING", "7")
	f, err := Parse([]byte("guards: { a: { bulkhead: {} } }"), EnvPrefix("SHOP_"))
	if err != nil {
		t.Fatal(err)
	}
	if got := configOf(t, f, "a"); got != (bulkhead.Config{MaxWaiting: 7}) {
		t.Errorf("of the process: %+v", got)
	}
}

func TestAVariableIsCheckedLikeTheFile(t *testing.T) {
	const text = "guards:\n  a: { circuitbreaker: { open_for: 1m } }\n  a_open: { circuitbreaker: {} }\n  b: { bulkhead: { max_wait: 1s } }\n"
	for _, tt := range []struct{ name, variable, want string }{
		{"an unknown guard", "C_PROBES=1", "C_PROBES: begins with no guard's name (there are: A, A_OPEN, B)"},
		{"an unknown field", "B_MAX_WATING=1", "B_MAX_WATING: is no setting, is b_max_waiting meant? (allowed: B_MAX_CONCURRENT, B_MAX_WAITING, B_MAX_WAIT, B_MAX_PARTITIONS, B_MODE, B_ON_FAILURE)"},
		{"a wrong type", "A_OPEN_FOR=10", `A_OPEN_FOR: guards.a.circuitbreaker.open_for: "10" is not a time with its unit, such as 30s or 1m30s`},
		{"nothing", "A_OPEN_FOR=", "A_OPEN_FOR: is empty"},
		{"no YAML", "A_OPEN_FOR={", "A_OPEN_FOR: is no YAML: did not find expected node content"},
		{"what the pattern does not take", "A_MAX_OPEN_FOR=30s", "A_MAX_OPEN_FOR: guards.a.circuitbreaker.max_open_for: 30s must not be below open_for, 1m0s"},
	} {
		got := slices.DeleteFunc(faultsOf(text, Environ("BULWARK_GUARDS_"+tt.variable)), func(s string) bool {
			return strings.HasPrefix(s, "f:4:30: guards.b.bulkhead.max_wait: 1s needs max_waiting")
		})
		if !slices.Equal(got, []string{"environment: BULWARK_GUARDS_" + tt.want}) {
			t.Errorf("%s: got\n%s", tt.name, strings.Join(got, "\n"))
		}
	}
	if got := faultsOf("guards: { a: { bulkhead: {} }, a-b: { bulkhead: {} }, a.b: { bulkhead: {} } }", Environ("BULWARK_GUARDS_A_B_MODE=strict")); !slices.Equal(got,
		[]string{"environment: BULWARK_GUARDS_A_B_MODE: may mean guards.a-b.bulkhead.mode or guards.a.b.bulkhead.mode: give one of the guards another name"}) {
		t.Errorf("%q", got)
	}
}

func TestAVariableMayPutTheFileRight(t *testing.T) {
	f := mustParse(t, "guards: { a: { bulkhead: { max_waiting: many } } }", Environ("BULWARK_GUARDS_A_MAX_WAITING=5"))
	if got := configOf(t, f, "a"); got != (bulkhead.Config{MaxWaiting: 5}) {
		t.Errorf("%+v", got)
	}
}
