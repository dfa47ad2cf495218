package timeout

import (
	"math"
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
		{"a negative quantile", Config{Quantile: -0.1}, "Quantile"},
		{"all of them", Config{Quantile: 1}, "Quantile"},
		{"no number", Config{Quantile: math.NaN()}, "Quantile"},
		{"a factor below 1", Config{Quantile: 0.9, Factor: 0.9}, "Factor"},
		{"a huge factor", Config{Quantile: 0.9, Factor: 101}, "Factor"},
		{"a factor that is no number", Config{Quantile: 0.9, Factor: math.NaN()}, "Factor"},
		{"a factor without Quantile", Config{Factor: 2}, "Factor"},
		{"a minimum that is too low", Config{Quantile: 0.9, Min: 1}, "Min"},
		{"a minimum above PerAttempt", Config{Quantile: 0.9, PerAttempt: 1e9, Min: 1e9 + 1}, "Min"},
		{"a minimum without Quantile", Config{Min: time.Second}, "Min"},
		{"a maximum that is too high", Config{Quantile: 0.9, Max: 25 * time.Hour}, "Max"},
		{"a maximum below PerAttempt", Config{Quantile: 0.9, PerAttempt: 1e9, Max: 1e9 - 1}, "Max"},
		{"a maximum without Quantile", Config{Max: time.Minute}, "Max"},
		{"a short window", Config{Quantile: 0.9, Window: 99 * time.Millisecond}, "Window"},
		{"a long window", Config{Quantile: 0.9, Window: 25 * time.Hour}, "Window"},
		{"a window without Quantile", Config{Window: time.Minute}, "Window"},
		{"fewer samples than none", Config{Quantile: 0.9, MinSamples: -1}, "MinSamples"},
		{"too many samples", Config{Quantile: 0.9, MinSamples: maxSamples + 1}, "MinSamples"},
		{"samples without Quantile", Config{MinSamples: 1}, "MinSamples"},
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
		{PerAttempt: 1e9, Quantile: 0.999, Factor: 1, Min: 1e9, Max: 1e9, Window: minWindow, MinSamples: 1},
		{Quantile: 0.001, Factor: maxFactor, Min: minLimit, Max: maxLimit, Window: maxWindow, MinSamples: maxSamples},
		{PerAttempt: time.Microsecond, Quantile: 0.5},
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
