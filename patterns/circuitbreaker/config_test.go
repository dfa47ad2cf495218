package circuitbreaker

import (
	"math"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/bulwark-go/bulwark/patterns"
	"github.com/bulwark-go/bulwark/patterns/internal/configtest"
)

func TestZeroConfigIsValid(t *testing.T) {
	if err := (Config{}).Validate(); err != nil {
		t.Error(err)
	}
}

func TestValidConfigs(t *testing.T) {
	tests := map[string]Config{
		"the defaults spelled out": Config{}.withDefaults(),
		"the highest values": {
			ConsecutiveFailures: math.MaxInt, FailureRatio: 1, SlowRatio: 1, SlowCall: math.MaxInt64,
			Window: Last(maxLast), MinSamples: math.MaxInt, OpenFor: math.MaxInt64, OpenFactor: math.MaxFloat64,
			MaxOpenFor: math.MaxInt64, OpenJitter: math.Nextafter(1, 0), ResetOpensAfter: math.MaxInt64,
			Probes: maxProbes, ConcurrentProbes: maxProbes, ProbeFailureRatio: 1, ProbeTimeout: math.MaxInt64,
			RampFor: math.MaxInt64, RampStart: 1, CallTimeout: math.MaxInt64 - 1,
		},
		"the lowest values": {
			ConsecutiveFailures: 1, FailureRatio: math.SmallestNonzeroFloat64, SlowRatio: math.SmallestNonzeroFloat64,
			SlowCall: 1, Window: Last(1), MinSamples: 1, OpenFor: 1, OpenFactor: 1, MaxOpenFor: 1,
			OpenJitter: math.SmallestNonzeroFloat64, ResetOpensAfter: 1, Probes: 1, ConcurrentProbes: 1,
			ProbeFailureRatio: math.SmallestNonzeroFloat64, ProbeTimeout: 2, RampFor: 1,
			RampStart: math.SmallestNonzeroFloat64, CallTimeout: 1,
		},
		"the shortest time window":       {Window: During(1).Buckets(1)},
		"the most buckets":               {Window: During(time.Second).Buckets(maxBuckets)},
		"slow calls counted only":        {SlowCall: time.Second},
		"MaxOpenFor as long as OpenFor":  {OpenFor: time.Second, MaxOpenFor: time.Second},
		"as many concurrent as probes":   {ConcurrentProbes: 2},
		"a call longer than 30 s":        {CallTimeout: time.Hour},
		"a schedule":                     {OpenSchedule: Schedule(func(n int) time.Duration { return time.Duration(n) })},
		"leased and closed":              {Mode: patterns.Leased(0, 0), OnFailure: patterns.FailClosed},
		"MinSamples above a Last window": {FailureRatio: 0.5, Window: Last(3), MinSamples: 4},
	}
	for name, c := range tests {
		t.Run(name, func(t *testing.T) {
			if err := c.Validate(); err != nil {
				t.Error(err)
			}
			NewMachine(Params{Config: c})
		})
	}
}

func TestInvalidConfigsNameTheField(t *testing.T) {
	nan, inf := math.NaN(), math.Inf(1)
	configtest.Invalid(t, []configtest.Row[Config]{
		{"negative run", Config{ConsecutiveFailures: -1}, "ConsecutiveFailures"},
		{"negative failure ratio", Config{FailureRatio: -0.1}, "FailureRatio"},
		{"failure ratio above 1", Config{FailureRatio: math.Nextafter(1, 2)}, "FailureRatio"},
		{"NaN failure ratio", Config{FailureRatio: nan}, "FailureRatio"},
		{"infinite failure ratio", Config{FailureRatio: inf}, "FailureRatio"},
		{"minus infinite failure ratio", Config{FailureRatio: -inf}, "FailureRatio"},
		{"negative slow ratio", Config{SlowRatio: -0.1, SlowCall: 1}, "SlowRatio"},
		{"slow ratio above 1", Config{SlowRatio: 1.1, SlowCall: 1}, "SlowRatio"},
		{"NaN slow ratio", Config{SlowRatio: nan, SlowCall: 1}, "SlowRatio"},
		{"infinite slow ratio", Config{SlowRatio: inf, SlowCall: 1}, "SlowRatio"},
		{"slow ratio without a slow call", Config{SlowRatio: 0.5}, "SlowCall"},
		{"negative slow call", Config{SlowCall: -1}, "SlowCall"},
		{"empty count window", Config{Window: Last(0)}, "Window"},
		{"negative count window", Config{Window: Last(-1)}, "Window"},
		{"huge count window", Config{Window: Last(maxLast + 1)}, "Window"},
		{"count window with buckets", Config{Window: Last(5).Buckets(5)}, "Window"},
		{"default window with buckets", Config{Window: Window{}.Buckets(5)}, "Window"},
		{"empty time window", Config{Window: During(0)}, "Window"},
		{"negative time window", Config{Window: During(-1)}, "Window"},
		{"no buckets", Config{Window: During(1).Buckets(0)}, "Window"},
		{"negative buckets", Config{Window: During(1).Buckets(-1)}, "Window"},
		{"too many buckets", Config{Window: During(1).Buckets(maxBuckets + 1)}, "Window"},
		{"negative samples", Config{MinSamples: -1}, "MinSamples"},
		{"negative open time", Config{OpenFor: -1}, "OpenFor"},
		{"factor below 1", Config{OpenFactor: 0.9}, "OpenFactor"},
		{"negative factor", Config{OpenFactor: -1}, "OpenFactor"},
		{"NaN factor", Config{OpenFactor: nan}, "OpenFactor"},
		{"infinite factor", Config{OpenFactor: inf}, "OpenFactor"},
		{"negative most open time", Config{MaxOpenFor: -1}, "MaxOpenFor"},
		{"most open time below the first", Config{OpenFor: 2, MaxOpenFor: 1}, "MaxOpenFor"},
		{"most open time below the default first", Config{MaxOpenFor: time.Second}, "MaxOpenFor"},
		{"negative jitter", Config{OpenJitter: -0.1}, "OpenJitter"},
		{"jitter of 1", Config{OpenJitter: 1}, "OpenJitter"},
		{"NaN jitter", Config{OpenJitter: nan}, "OpenJitter"},
		{"infinite jitter", Config{OpenJitter: inf}, "OpenJitter"},
		{"negative reset", Config{ResetOpensAfter: -1}, "ResetOpensAfter"},
		{"negative probes", Config{Probes: -1}, "Probes"},
		{"too many probes", Config{Probes: maxProbes + 1}, "Probes"},
		{"negative concurrent probes", Config{ConcurrentProbes: -1}, "ConcurrentProbes"},
		{"more concurrent probes than probes", Config{Probes: 3, ConcurrentProbes: 4}, "ConcurrentProbes"},
		{"more concurrent probes than default probes", Config{ConcurrentProbes: 3}, "ConcurrentProbes"},
		{"negative probe ratio", Config{ProbeFailureRatio: -0.1}, "ProbeFailureRatio"},
		{"probe ratio above 1", Config{ProbeFailureRatio: 1.1}, "ProbeFailureRatio"},
		{"NaN probe ratio", Config{ProbeFailureRatio: nan}, "ProbeFailureRatio"},
		{"infinite probe ratio", Config{ProbeFailureRatio: inf}, "ProbeFailureRatio"},
		{"negative probe timeout", Config{ProbeTimeout: -1}, "ProbeTimeout"},
		{"probe given up on while its call may run", Config{ProbeTimeout: 2, CallTimeout: 2}, "ProbeTimeout"},
		{"negative ramp", Config{RampFor: -1}, "RampFor"},
		{"negative ramp start", Config{RampStart: -0.1}, "RampStart"},
		{"ramp start above 1", Config{RampStart: 1.1}, "RampStart"},
		{"NaN ramp start", Config{RampStart: nan}, "RampStart"},
		{"infinite ramp start", Config{RampStart: inf}, "RampStart"},
		{"negative call timeout", Config{CallTimeout: -1}, "CallTimeout"},
		{"schedule of a nil function", Config{OpenSchedule: Schedule(nil)}, "OpenSchedule"},
		{"schedule of nothing", Config{OpenSchedule: Schedule(func(int) time.Duration { return 0 })}, "OpenSchedule"},
		{"schedule that turns negative", Config{OpenSchedule: Schedule(func(n int) time.Duration { return time.Duration(3 - n) })}, "OpenSchedule"},
		{"negative lease", Config{Mode: patterns.Leased(-1, 0)}, "Mode"},
		{"unknown fail policy", Config{OnFailure: 99}, "OnFailure"},
	})
}

func TestEveryFaultIsNamedAtOnce(t *testing.T) {
	c := Config{FailureRatio: math.NaN(), Window: Last(-1), OpenFor: -1, Probes: -1, RampStart: 2, CallTimeout: -1}
	err := c.Validate()
	want := []string{"FailureRatio", "Window", "OpenFor", "Probes", "RampStart", "CallTimeout"}
	if got := configtest.Faulty(err); !slices.Equal(got, want) {
		t.Errorf("faults in %v, want %v", got, want)
	}
	if !strings.Contains(err.Error(), "circuitbreaker: Window Last(-1): must be of 1 to 16777216 results") {
		t.Errorf("error does not read well: %v", err)
	}
}

func TestNewMachinePanicsIfNobodyValidated(t *testing.T) {
	configtest.NobodyRuns(t, map[string]func(){
		"NewMachine":  func() { newTestMachine(Config{Probes: -1}) },
		"Reconfigure": func() { newTestMachine(Config{}).Reconfigure(0, Config{Probes: -1}) },
	})
}

func TestDefaultsThatDependOnOthers(t *testing.T) {
	tests := []struct {
		name      string
		cfg       Config
		get, want any
	}{
		{"ConsecutiveFailures is off with FailureRatio", Config{FailureRatio: 0.5}, Config.consecutive, 0},
		{"ConsecutiveFailures is on with SlowRatio alone", Config{SlowRatio: 0.5}, Config.consecutive, 5},
		{"ConsecutiveFailures stays if both are set", Config{FailureRatio: 0.5, ConsecutiveFailures: 7}, Config.consecutive, 7},
		{"MaxOpenFor is OpenFor without a factor", Config{OpenFor: time.Second}, Config.maxOpen, time.Second},
		{"MaxOpenFor is 16 times OpenFor with one", Config{OpenFor: time.Second, OpenFactor: 1.5}, Config.maxOpen, 16 * time.Second},
		{"MaxOpenFor saturates", Config{OpenFor: math.MaxInt64 / 2, OpenFactor: 2}, Config.maxOpen, time.Duration(math.MaxInt64)},
		{"ProbeTimeout is twice CallTimeout if that is longer", Config{CallTimeout: 20 * time.Second}, Config.probeTimeout, 40 * time.Second},
		{"ProbeTimeout is 30 s if not", Config{CallTimeout: 15 * time.Second}, Config.probeTimeout, 30 * time.Second},
		{"time windows have 10 buckets", Config{Window: During(time.Second)}, Config.windowBuckets, 10},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got := reflect.ValueOf(tt.get).Call([]reflect.Value{reflect.ValueOf(tt.cfg.withDefaults())})[0].Interface()
			if got != tt.want {
				t.Errorf("got %v, want %v", got, tt.want)
			}
		})
	}
}

func (c Config) consecutive() int            { return c.ConsecutiveFailures }
func (c Config) maxOpen() time.Duration      { return c.MaxOpenFor }
func (c Config) probeTimeout() time.Duration { return c.ProbeTimeout }
func (c Config) windowBuckets() int          { return c.Window.buckets }

func TestDefaultsAreIdempotent(t *testing.T) {
	for _, c := range []Config{{}, {FailureRatio: 0.5, OpenFactor: 2}, {Window: During(time.Second)}} {
		if once := c.withDefaults(); once != once.withDefaults() {
			t.Errorf("%+v: %+v", once, once.withDefaults())
		}
	}
}

func TestDocumentedDefaultsAreTheDefaults(t *testing.T) {
	// With SlowCall, because without anything that looks at it there is no Window.
	filled := Config{SlowCall: 1}.withDefaults()
	filled.SlowCall = 0
	configtest.Defaults(t, 0, filled)
}

func TestWindowsReadAsTheyAreWritten(t *testing.T) {
	for want, w := range map[string]Window{
		"default":                 {},
		"Last(7)":                 Last(7),
		"During(10s)":             During(10 * time.Second),
		"During(10s).Buckets(5)":  During(10 * time.Second).Buckets(5),
		"Last(7).Buckets(5)":      Last(7).Buckets(5),
		"During(10s).Buckets(-1)": During(10 * time.Second).Buckets(-1),
	} {
		if got := w.String(); got != want {
			t.Errorf("%s reads %s", want, got)
		}
	}
	if seven := Last(7); seven != Last(7) || seven == Last(8) || seven == During(7) {
		t.Error("windows do not compare")
	}
}

func TestWhatCallersHoldIsFixedWhileTheBreakerRuns(t *testing.T) {
	running := Config{Mode: patterns.Leased(64, 0), CallTimeout: time.Second, ConsecutiveFailures: 3}
	next := running
	next.ConsecutiveFailures = 9
	if err := running.successor(next); err != nil {
		t.Errorf("a change of the rules: %v", err)
	}
	next = Config{OnFailure: patterns.FailClosed, Probes: -1}
	fields := configtest.Faulty(running.successor(next))
	if want := []string{"Mode", "OnFailure", "CallTimeout", "Probes"}; !slices.Equal(fields, want) {
		t.Errorf("faults of %v, want %v", fields, want)
	}
}
