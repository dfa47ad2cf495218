package rules

import (
	"errors"
	"fmt"
	"math"
	"os"
	"regexp"
	"slices"
	"testing"
	"time"

	"github.com/bulwark-go/bulwark/patterns"
	"github.com/bulwark-go/bulwark/supervisor/backoff"
	"github.com/bulwark-go/bulwark/supervisor/budget"
	"github.com/bulwark-go/bulwark/supervisor/intensity"
)

func TestValidate(t *testing.T) {
	for _, tt := range []struct {
		name string
		cfg  Config
		want []string // fields at fault
	}{
		{"the zero value is valid", Config{}, nil},
		{"everything at once is valid", Config{
			Backoff: backoff.Config{Base: 1}, Breaker: BreakerConfig{Intensity: 1}, Quarantine: QuarantineConfig{Failures: 1},
			Budget: budget.Config{Burst: 1}, Correlated: CorrelatedConfig{Share: 0.5}, HoldFor: NoHold, AtTop: StopSelf,
		}, nil},
		{"the extremes are valid", Config{
			Breaker: BreakerConfig{
				Intensity: intensity.MaxRestarts, Period: intensity.MaxPeriod, OpenFor: math.MaxInt64, Probes: MaxProbes, ProbeFor: math.MaxInt64,
			},
			Quarantine: QuarantineConfig{Failures: intensity.MaxRestarts, Period: intensity.MaxPeriod},
			Correlated: CorrelatedConfig{Share: math.SmallestNonzeroFloat64, Within: math.MaxInt64, MinFailed: math.MaxInt, ProbeFor: math.MaxInt64},
			HoldFor:    Hold,
		}, nil},
		{"parts report their own", Config{
			Intensity: intensity.Config{Restarts: -9}, Backoff: backoff.Config{Base: -9}, Budget: budget.Config{Every: -9},
		}, []string{"Intensity.Restarts", "Backoff.Base", "Budget.Every"}},
		{"every fault is named at once", Config{
			Scope: 9, HoldFor: -9, AtTop: 9,
			Breaker:    BreakerConfig{Intensity: -9, Period: -9, OpenFor: -9, OpenFactor: -9, MaxOpenFor: -9, OpenJitter: -9, ResetOpensAfter: -9, Probes: -9, ProbeFor: -9},
			Quarantine: QuarantineConfig{Failures: -9, Period: -9},
		}, []string{
			"Scope", "Breaker.Intensity", "Breaker.Period", "Breaker.OpenFor", "Breaker.OpenFor", "Breaker.OpenFactor", "Breaker.MaxOpenFor",
			"Breaker.OpenJitter", "Breaker.ResetOpensAfter", "Breaker.Probes", "Breaker.ProbeFor", "Quarantine.Failures", "Quarantine.Period",
			"HoldFor", "AtTop",
		}},
		{"correlated failures too", Config{
			Correlated: CorrelatedConfig{Share: -9, Within: -9, MinFailed: -9, OpenFor: -9, OpenFactor: -9, MaxOpenFor: -9, ProbeFor: -9},
		}, []string{
			"Correlated.Share", "Correlated.Within", "Correlated.MinFailed", "Correlated.OpenFor", "Correlated.OpenFor",
			"Correlated.OpenFactor", "Correlated.MaxOpenFor", "Correlated.ProbeFor",
		}},
		{"all are not a share", Config{Correlated: CorrelatedConfig{Share: 1}}, []string{"Correlated.Share"}},
		{"nor is NaN", Config{Correlated: CorrelatedConfig{Share: math.NaN()}}, []string{"Correlated.Share"}},
		{"one is not several", Config{Correlated: CorrelatedConfig{Share: 0.5, MinFailed: 1}}, []string{"Correlated.MinFailed"}},
		{"correlation is for one for one", Config{Scope: Rest, Correlated: CorrelatedConfig{Share: 0.5}}, []string{"Correlated"}},
		{"quarantine needs a number", Config{Quarantine: QuarantineConfig{Period: 1}}, []string{"Quarantine.Failures"}},
		{"a factor is finite", Config{Breaker: BreakerConfig{OpenFactor: math.Inf(1)}}, []string{"Breaker.OpenFactor"}},
		{"a maximum is not below", Config{Breaker: BreakerConfig{MaxOpenFor: time.Second}}, []string{"Breaker.MaxOpenFor"}},
		{"jitter is below one", Config{Breaker: BreakerConfig{OpenJitter: 1}}, []string{"Breaker.OpenJitter"}},
		{"too many probes", Config{Breaker: BreakerConfig{Probes: MaxProbes + 1}}, []string{"Breaker.Probes"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got := fields(tt.cfg.Validate()); !slices.Equal(got, tt.want) {
				t.Errorf("faults %q, want %q", got, tt.want)
			}
		})
	}
}

// fields returns those that err, a join of *patterns.ConfigError, names.
func fields(err error) (names []string) {
	join, ok := err.(interface{ Unwrap() []error })
	if !ok {
		return nil
	}
	for _, e := range join.Unwrap() {
		if fault, ok := errors.AsType[*patterns.ConfigError](e); ok && fault.Pattern == "supervisor" {
			names = append(names, fault.Field)
		}
	}
	return names
}

func TestNewPanicsOnWhatDoesNotValidate(t *testing.T) {
	defer func() {
		err, _ := recover().(error)
		if !slices.Equal(fields(err), []string{"HoldFor"}) {
			t.Errorf("panicked with %v", err)
		}
	}()
	New(Params{Config: Config{HoldFor: -9}})
}

func TestIntensityIsUnlimitedWhereSomethingElseRegulates(t *testing.T) {
	for _, cfg := range []Config{
		{Backoff: backoff.Config{Base: 1}},
		{Breaker: BreakerConfig{Probes: 1}},
		{Quarantine: QuarantineConfig{Failures: 1}},
		{Budget: budget.Config{Burst: 1}},
		{Correlated: CorrelatedConfig{Share: 0.5}},
	} {
		if n, _ := New(Params{Config: cfg}).Limit(); n != math.MaxInt {
			t.Errorf("%+v: %d", cfg, n)
		}
		cfg.Intensity.Restarts = 3
		if n, _ := New(Params{Config: cfg}).Limit(); n != 3 {
			t.Errorf("set to 3: %d", n)
		}
	}
	if n, period := New(Params{}).Limit(); n != intensity.DefaultRestarts || period != intensity.DefaultPeriod {
		t.Errorf("of the zero Config: %d in %v", n, period)
	}
}

func TestDocumentedDefaultsAreTheRealOnes(t *testing.T) {
	src, err := os.ReadFile("config.go")
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	re := regexp.MustCompile(`Default\s+(?://\s+)?([A-Z][A-Za-z]+|[0-9][0-9a-z]*)(?: in ([0-9a-z]+))?[.,]`)
	for _, m := range re.FindAllSubmatch(src, -1) {
		got = append(got, string(m[1]))
		if len(m[2]) > 0 {
			got = append(got, string(m[2]))
		}
	}
	d := Config{
		Breaker: BreakerConfig{Intensity: 5}, Quarantine: QuarantineConfig{Failures: 1}, Correlated: CorrelatedConfig{Share: 0.5},
	}.Normal()
	short := func(v time.Duration) string {
		s := v.String()
		s = regexp.MustCompile(`m0s$`).ReplaceAllString(s, "m")
		return regexp.MustCompile(`h0m$`).ReplaceAllString(s, "h")
	}
	b, q, g := d.Breaker, d.Quarantine, d.Correlated
	want := []string{
		"One", fmt.Sprint(intensity.DefaultRestarts), intensity.DefaultPeriod.String(), short(d.HoldFor), "KeepRunning",
		fmt.Sprint(DefaultIntensity), short(b.Period), short(b.OpenFor), fmt.Sprint(b.OpenFactor), "OpenFor", fmt.Sprint(b.Probes), short(b.ProbeFor),
		short(q.Period),
		short(g.Within), fmt.Sprint(g.MinFailed), short(g.OpenFor), fmt.Sprint(g.OpenFactor), "OpenFor", short(g.ProbeFor),
	}
	re = regexp.MustCompile(`^OpenFor$`)
	if !slices.Equal(got, slices.DeleteFunc(want, re.MatchString)) && !slices.Equal(got, want) {
		t.Errorf("the comments say\n%q, the code\n%q", got, want)
	}
}

func TestEverythingHasAName(t *testing.T) {
	for want, got := range map[string]fmt.Stringer{
		"one-for-one": One, "one-for-all": All, "rest-for-one": Rest, "scope(9)": Scope(9),
		"restart": Restart, "stop": Stop, "resume": Resume, "escalate": Escalate, "directive(9)": Directive(9),
		"permanent": Permanent, "transient": Transient, "temporary": Temporary, "type(9)": RestartType(9),
		"keep-running": KeepRunning, "stop-self": StopSelf, "attop(9)": AtTop(9),
		"running": Running, "restarting": Restarting, "suspended": Suspended, "open": Open, "half-open": HalfOpen,
		"quarantined": Quarantined, "stopping": Stopping, "stopped": Stopped, "state(9)": State(9),
		"changed": DoChanged, "group": DoGroup, "unknown": Do(99),
	} {
		if got.String() != want {
			t.Errorf("%T is %q, want %q", got, got, want)
		}
	}
}

func TestStatusSaysWhatTheMachineKnows(t *testing.T) {
	m := New(Params{Config: Config{Backoff: backoff.Config{Base: 100, Jitter: backoff.NoJitter}}})
	m.Add(0, 1, Permanent)
	m.Add(5, 2, Temporary)
	m.Failed(10, Failure{Child: 1})
	m.Tick(110)
	m.Failed(120, Failure{Child: 1})
	want := []Status{
		{Child: 1, Type: Permanent, State: Restarting, Cause: CauseBackoff, Since: 120, Until: 320, Failures: 2, Restarts: 1},
		{Child: 2, Type: Temporary, State: Running, Since: 5, Until: patterns.Never},
	}
	var got []Status
	m.Children(func(s Status) { got = append(got, s) })
	if !slices.Equal(got, want) {
		t.Errorf("got %+v\nwant %+v", got, want)
	}
	if s, ok := m.Status(1); !ok || s != want[0] {
		t.Errorf("status %+v", s)
	}
	if _, ok := m.Status(3); ok {
		t.Error("there is no child 3")
	}
	if m.Config().HoldFor != DefaultHoldFor || m.Waiting() != 0 || m.Leaving() {
		t.Error("defaults, waiting or leaving")
	}
}

func TestOpenTimesAreJitteredPerChild(t *testing.T) {
	cfg := Config{Breaker: BreakerConfig{Intensity: 1, OpenFor: time.Second, OpenJitter: 0.5}}
	until := map[patterns.Instant]bool{}
	for _, seed := range []uint64{0, 7} {
		m := New(Params{Config: cfg, Seed: seed})
		for id := range ID(20) {
			m.Add(0, id, Transient)
			m.Failed(0, Failure{Child: id})
			m.Failed(0, Failure{Child: id})
			s, _ := m.Status(id)
			if s.Until < patterns.Instant(time.Second) || s.Until >= patterns.Instant(1500*time.Millisecond) {
				t.Errorf("seed %d: until %d", seed, s.Until)
			}
			if seed != 0 {
				until[s.Until] = true
			} else if s.Until != patterns.Instant(time.Second) {
				t.Errorf("without a seed: until %d", s.Until)
			}
		}
	}
	if len(until) < 15 {
		t.Errorf("%d different of 20", len(until))
	}
}

func TestMachineDoesNotAllocOnceItKnowsItsChildren(t *testing.T) {
	m := New(Params{Config: Config{
		Backoff:    backoff.Config{Base: 1, Max: 10},
		Quarantine: QuarantineConfig{Failures: 1000, Period: 1},
		Budget:     budget.Config{Burst: 10, Every: 1},
	}})
	for id := range ID(10) {
		m.Add(0, id, Transient)
	}
	now := patterns.Instant(0)
	round := func() {
		for id := range ID(10) {
			m.Failed(now, Failure{Child: id, U: 0.5})
		}
		m.Effects()
		for m.Wake() != patterns.Never {
			now = m.Wake()
			m.Tick(now)
			m.Effects()
		}
		now = now.Add(time.Hour)
	}
	round()
	round()
	if n := testing.AllocsPerRun(100, round); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func BenchmarkMachine(b *testing.B) {
	m := New(Params{Config: Config{Backoff: backoff.Config{Base: 1, Jitter: backoff.NoJitter}}})
	const n = 1000
	for id := range ID(n) {
		m.Add(0, id, Transient)
	}
	now, id := patterns.Instant(0), ID(0)
	b.ReportAllocs()
	for b.Loop() {
		now = now.Add(time.Minute)
		m.Failed(now, Failure{Child: id % n})
		m.Effects()
		m.Tick(now.Add(10))
		m.Effects()
		id++
	}
}
