package adaptive

import (
	"math"
	"slices"
	"testing"
	"time"

	"github.com/bulwark-go/bulwark/patterns"
	"github.com/bulwark-go/bulwark/patterns/internal/configtest"
)

func TestValidConfigs(t *testing.T) {
	for _, c := range []Config{
		{},
		{Algorithm: AIMD{}},
		{Algorithm: AIMD{}, Max: 5},
		{Max: 3},
		{Min: 50},
		{Min: 20_000},
		{Algorithm: Gradient2{Window: PerSample}},
		{Algorithm: Window{Of: AIMD{}}},
		{Algorithm: Window{Min: 2 * time.Second}},
		{MaxWaiting: 9, MaxWait: 1, Queue: CoDel, Target: time.Second, RefuseFrom: 2},
		{Partitions: Guarantee(map[string]float64{"a": 0.1, "b": 0.2, "c": 0.7})},
		Config{}.withDefaults(),
	} {
		if err := c.Validate(); err != nil {
			t.Errorf("%+v: %v", c, err)
		}
		if once := c.withDefaults(); once != once.withDefaults() {
			t.Errorf("%+v: defaults change twice", c)
		}
	}
}

func TestInvalidConfigsNameEveryField(t *testing.T) {
	nan := math.NaN()
	for _, tt := range []struct {
		cfg  Config
		want []string
	}{
		{Config{Min: -1, Max: maxLimit + 1, Initial: -4}, []string{"Min", "Max", "Initial"}},
		{Config{Min: 10, Max: 5}, []string{"Max", "Initial"}},
		{Config{Initial: 20, Max: 10}, []string{"Initial"}},
		{Config{MaxWaiting: -1, MaxTenants: -1, CallTimeout: -1, MaxLatency: -1}, []string{"MaxLatency", "MaxWaiting", "MaxTenants", "CallTimeout"}},
		{Config{MaxWait: 1, Queue: CoDel, RefuseFrom: 1, DeadlineForTurn: true}, []string{"MaxWait", "Queue", "RefuseFrom", "DeadlineForTurn"}},
		{Config{MaxWaiting: 1, MaxWait: -1, Queue: 9, Target: -1, Interval: -2}, []string{"MaxWait", "Queue", "Target", "Interval"}},
		{Config{MaxWaiting: 1, Target: 2, Interval: 1, RefuseAll: 1}, []string{"Interval", "RefuseAll"}},
		{Config{MaxWaiting: 1, RefuseFrom: nan}, []string{"RefuseFrom"}},
		{Config{MaxWaiting: 1, RefuseFrom: 2, RefuseAll: 2}, []string{"RefuseAll"}},
		{Config{MaxWaiting: 1, RefuseFrom: 2, RefuseAll: nan}, []string{"RefuseAll"}},
		{Config{MaxWaiting: 1, RefuseFrom: -1}, []string{"RefuseFrom"}},
		{Config{Mode: patterns.Leased(-1, 0), OnFailure: 9}, []string{"Mode", "OnFailure"}},
		{Config{Partitions: Guarantee(nil)}, []string{"Partitions"}},
		{Config{Partitions: Guarantee(map[string]float64{"a": 0.7, "b": 0.7})}, []string{"Partitions"}},
		{Config{Partitions: Guarantee(map[string]float64{"a": nan})}, []string{"Partitions", "Partitions"}},
		{Config{Algorithm: Knee{Headroom: nan, Idle: nan}}, []string{"Knee.Headroom", "Knee.Idle"}},
		{Config{Algorithm: AIMD{Increase: nan, Backoff: 1, Timeout: -1, Window: -1, SuccessRatio: 2, FailureRatio: nan}}, []string{
			"AIMD.Increase", "AIMD.Backoff", "AIMD.Timeout", "AIMD.Window", "AIMD.SuccessRatio", "AIMD.FailureRatio",
		}},
		{Config{Algorithm: Vegas{Smoothing: nan, Probe: -1, Jitter: 0.1, Freeze: -1}}, []string{"Vegas.Smoothing", "Vegas.Probe", "Vegas.Jitter", "Vegas.Freeze"}},
		{Config{Algorithm: Gradient{Smoothing: 2, Tolerance: math.Inf(1), Backoff: nan, Probe: -1}}, []string{
			"Gradient.Smoothing", "Gradient.Tolerance", "Gradient.Backoff", "Gradient.Probe",
		}},
		{Config{Algorithm: Gradient2{Smoothing: -1, Tolerance: 0.5, LongWindow: -1, Queue: nan, Window: -2, Backoff: 2, Freeze: -2}}, []string{
			"Gradient2.Smoothing", "Gradient2.Tolerance", "Gradient2.LongWindow", "Gradient2.Queue", "Gradient2.Window",
			"Gradient2.Backoff", "Gradient2.Freeze",
		}},
		{Config{Algorithm: Window{Of: Knee{}, Min: -1, Max: -2, Samples: -1, MinRTT: -1, Percentile: 1, Losses: nan}}, []string{
			"Window.Of", "Window.Min", "Window.Max", "Window.Samples", "Window.MinRTT", "Window.Percentile", "Window.Losses",
		}},
		{Config{Algorithm: Window{Of: Window{}}}, []string{"Window.Of"}},
		{Config{Algorithm: Window{Of: Gradient2{Window: time.Second, Queue: nan}}}, []string{"Window.Of", "Gradient2.Queue"}},
		{Config{Algorithm: Window{Of: AIMD{Backoff: nan}}}, []string{"AIMD.Backoff"}},
	} {
		if got := configtest.Faulty(tt.cfg.Validate()); !slices.Equal(got, tt.want) {
			t.Errorf("%+v: faults of %v, want %v", tt.cfg, got, tt.want)
		}
	}
}

func TestWhatCallersHoldIsFixedWhileTheLimiterRuns(t *testing.T) {
	running := Config{Mode: patterns.Leased(64, 0), CallTimeout: time.Second, MaxWaiting: 4}
	next := running
	next.Max, next.MaxWaiting = 9, 5
	if err := running.successor(next); err != nil {
		t.Errorf("a change of the rules: %v", err)
	}
	got := configtest.Faulty(running.successor(Config{OnFailure: patterns.FailClosed, Min: -1}))
	if want := []string{"Mode", "OnFailure", "CallTimeout", "Min"}; !slices.Equal(got, want) {
		t.Errorf("faults of %v, want %v", got, want)
	}
}

func TestDocumentedDefaultsAreTheDefaults(t *testing.T) {
	configtest.Defaults(t, 0, Config{}.withDefaults(),
		AIMD{}.withDefaults(), Vegas{}.withDefaults(), Gradient{}.withDefaults(), Gradient2{}.withDefaults(),
		Knee{}.withDefaults(), Window{}.withDefaults())
}
