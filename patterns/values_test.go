package patterns_test

import (
	"errors"
	"fmt"
	"math"
	"reflect"
	"testing"
	"time"

	"github.com/bulwark-go/bulwark/patterns"
)

func TestInstantsSaturate(t *testing.T) {
	tests := []struct {
		name string
		got  any
		want any
	}{
		{"later", patterns.Instant(5).Add(7), patterns.Instant(12)},
		{"earlier", patterns.Instant(5).Add(-7), patterns.Instant(-2)},
		{"past the end is Never", patterns.Instant(5).Add(math.MaxInt64), patterns.Never},
		{"Never stays Never", patterns.Never.Add(1), patterns.Never},
		{"before the beginning", patterns.Instant(-5).Add(math.MinInt64), patterns.Instant(math.MinInt64)},
		{"a difference", patterns.Instant(12).Sub(5), 7 * time.Nanosecond},
		{"too far ahead", patterns.Never.Sub(-1), time.Duration(math.MaxInt64)},
		{"too far back", patterns.Instant(math.MinInt64).Sub(1), time.Duration(math.MinInt64)},
	}
	for _, tt := range tests {
		if tt.got != tt.want {
			t.Errorf("%s: %v, want %v", tt.name, tt.got, tt.want)
		}
	}
}

func TestNamesOfValues(t *testing.T) {
	for want, v := range map[string]fmt.Stringer{
		"success": patterns.Success, "failure": patterns.Failure, "dropped": patterns.Dropped, "ignored": patterns.Ignored,
		"outcome(9)": patterns.Outcome(9),
		"background": patterns.Background, "low": patterns.Low, "normal": patterns.Normal, "high": patterns.High,
		"critical": patterns.Critical, "priority(7)": patterns.Priority(7),
		"reset": patterns.Reset, "force-open": patterns.ForceOpen, "force-closed": patterns.ForceClosed,
		"metrics-only": patterns.MetricsOnly, "operation(9)": patterns.OperationKind(9),
		"fail-open": patterns.FailOpen, "fail-closed": patterns.FailClosed, "fail-policy(9)": patterns.FailPolicy(9),
		"strict": patterns.Strict, "leased(64, 100ms)": patterns.Leased(0, 0),
	} {
		if got := v.String(); got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}

func TestWhatIsNoValueIsNotValid(t *testing.T) {
	if !patterns.Ignored.Valid() || patterns.Outcome(4).Valid() {
		t.Error("outcomes")
	}
	if !patterns.Background.Valid() || !patterns.Critical.Valid() || patterns.Priority(3).Valid() || patterns.Priority(-3).Valid() {
		t.Error("priorities")
	}
	if !patterns.MetricsOnly.Valid() || patterns.OperationKind(4).Valid() {
		t.Error("operations")
	}
	if !patterns.FailClosed.Valid() || patterns.FailPolicy(2).Valid() {
		t.Error("policies")
	}
	if (patterns.Request{}).Priority != patterns.Normal {
		t.Error("a request is not of normal priority")
	}
}

func TestModes(t *testing.T) {
	tests := []struct {
		name  string
		mode  patterns.Mode
		valid bool
		lease bool
	}{
		{"strict", patterns.Strict, true, false},
		{"the zero Mode is strict", patterns.Mode{}, true, false},
		{"defaults", patterns.Leased(0, 0), true, true},
		{"size 1 is strict", patterns.Leased(1, time.Second), true, false},
		{"the largest", patterns.Leased(patterns.MaxLeaseSize, time.Second), true, true},
		{"too large", patterns.Leased(patterns.MaxLeaseSize+1, time.Second), false, true},
		{"negative size", patterns.Leased(-1, time.Second), false, false},
		{"the shortest", patterns.Leased(2, patterns.MinLeaseTTL), true, true},
		{"too short", patterns.Leased(2, patterns.MinLeaseTTL-1), false, true},
		{"negative lifetime", patterns.Leased(2, -1), false, true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if err := tt.mode.Validate(); (err == nil) != tt.valid {
				t.Errorf("error %v", err)
			}
			if _, _, leased := tt.mode.Lease(); leased != tt.lease {
				t.Errorf("leased %v", leased)
			}
		})
	}
	if size, ttl, _ := patterns.Leased(0, 0).Lease(); size != patterns.DefaultLeaseSize || ttl != patterns.DefaultLeaseTTL {
		t.Errorf("defaults %d, %v", size, ttl)
	}
	if patterns.Leased(0, 0) != patterns.Leased(64, 100*time.Millisecond) {
		t.Error("equal modes differ")
	}
}

type hinted struct{ wait time.Duration }

func (h hinted) Error() string             { return "later" }
func (h hinted) RetryAfter() time.Duration { return h.wait }

func TestRetryAfterIsFoundInAnyTree(t *testing.T) {
	deep := errors.Join(errors.New("else"), fmt.Errorf("wrapped: %w", hinted{time.Second}))
	if d, ok := patterns.RetryAfter(deep); !ok || d != time.Second {
		t.Errorf("%v, %v", d, ok)
	}
	for _, err := range []error{nil, errors.New("else")} {
		if d, ok := patterns.RetryAfter(err); ok || d != 0 {
			t.Errorf("%v: %v, %v", err, d, ok)
		}
	}
}

func TestCountsBalance(t *testing.T) {
	whole := patterns.Counts{
		Asked: 10, Granted: 6, Rejected: 2, Cancelled: 1, Waiting: 1,
		Reported: 4, Reclaimed: 1, InFlight: 1, Success: 1, Failure: 1, Dropped: 1, Ignored: 1,
	}
	if !whole.Balanced() {
		t.Error("what balances does not")
	}
	for name, change := range map[string]func(*patterns.Counts){
		"asked":     func(c *patterns.Counts) { c.Asked++ },
		"in flight": func(c *patterns.Counts) { c.InFlight++ },
		"success":   func(c *patterns.Counts) { c.Success++ },
	} {
		c := whole
		if change(&c); c.Balanced() {
			t.Errorf("one more %s balances all the same", name)
		}
	}
}

func TestCountsOfPartsAddUpInEveryField(t *testing.T) {
	var a, b patterns.Counts
	va, vb := reflect.ValueOf(&a).Elem(), reflect.ValueOf(&b).Elem()
	for i := range va.NumField() {
		va.Field(i).SetUint(uint64(i))
		vb.Field(i).SetUint(100)
	}
	sum := reflect.ValueOf(a.Plus(b))
	for i := range sum.NumField() {
		if got := sum.Field(i).Uint(); got != uint64(i)+100 {
			t.Errorf("%s is %d", sum.Type().Field(i).Name, got)
		}
	}
}
