package timeout

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/bulwark-go/bulwark/patterns"
	"github.com/bulwark-go/bulwark/patterns/internal/configtest"
)

func TestInvalidConfigsNameTheField(t *testing.T) {
	configtest.Invalid(t, []configtest.Row[Config]{
		{"a negative limit", Config{PerAttempt: -1}, "PerAttempt"},
		{"one below the least", Config{PerAttempt: time.Microsecond - 1}, "PerAttempt"},
		{"one above the most", Config{PerAttempt: 24*time.Hour + 1}, "PerAttempt"},
		{"fewer than none abandoned", Config{Abandon: true, MaxAbandoned: -1}, "MaxAbandoned"},
		{"too many abandoned", Config{Abandon: true, MaxAbandoned: maxAbandoned + 1}, "MaxAbandoned"},
		{"some abandoned without Abandon", Config{MaxAbandoned: 1}, "MaxAbandoned"},
		{"an unknown fail policy", Config{OnFailure: 99}, "OnFailure"},
	}, "Abandon")
	err := Config{PerAttempt: -1, MaxAbandoned: -1, OnFailure: 7}.Validate()
	if got := configtest.Faulty(err); !slices.Equal(got, []string{"PerAttempt", "MaxAbandoned", "OnFailure"}) {
		t.Errorf("faults in %v", got)
	}
	if want := "timeout: PerAttempt -1ns: must be from 1µs to 24h0m0s"; !strings.Contains(err.Error(), want) {
		t.Errorf("error does not read well: %v", err)
	}
}

func TestTheLimitsOfARangeAreInIt(t *testing.T) {
	for _, c := range []Config{
		{PerAttempt: time.Microsecond},
		{PerAttempt: 24 * time.Hour},
		{Abandon: true, MaxAbandoned: 1},
		{Abandon: true, MaxAbandoned: maxAbandoned},
		{OnFailure: patterns.FailClosed},
	} {
		if err := c.Validate(); err != nil {
			t.Error(err)
		}
		if once := c.withDefaults(); once != once.withDefaults() || once.Validate() != nil {
			t.Errorf("defaults are not stable: %+v", once)
		}
	}
}

func TestNobodyRunsAnInvalidConfig(t *testing.T) {
	configtest.NobodyRuns(t, map[string]func(){
		"NewMachine":  func() { newTestMachine(Config{PerAttempt: -1}) },
		"Reconfigure": func() { newTestMachine(Config{}).Reconfigure(0, Config{PerAttempt: -1}) },
	})
}

func TestDocumentedDefaultsAreTheDefaults(t *testing.T) {
	configtest.Defaults(t, 0, Config{}.withDefaults())
}
