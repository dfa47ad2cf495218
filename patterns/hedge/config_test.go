package hedge

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
		{"a negative delay", Config{Delay: -1}, "Delay"},
		{"one below the least", Config{Delay: minDelay - 1}, "Delay"},
		{"one above the most", Config{Delay: maxDelay + 1}, "Delay"},
		{"fewer than no extra attempts", Config{MaxExtra: -1}, "MaxExtra"},
		{"too many of them", Config{MaxExtra: maxExtra + 1}, "MaxExtra"},
		{"a negative quantile", Config{Quantile: -0.1}, "Quantile"},
		{"all of them", Config{Quantile: 1}, "Quantile"},
		{"no number", Config{Quantile: math.NaN()}, "Quantile"},
		{"a minimum that is too low", Config{Quantile: 0.9, Min: 1}, "Min"},
		{"a minimum above Delay", Config{Quantile: 0.9, Delay: 1e9, Min: 1e9 + 1}, "Min"},
		{"a minimum without Quantile", Config{Min: sec}, "Min"},
		{"a maximum that is too high", Config{Quantile: 0.9, Max: maxDelay + 1}, "Max"},
		{"a maximum below Delay", Config{Quantile: 0.9, Delay: 1e9, Max: 1e9 - 1}, "Max"},
		{"a maximum without Quantile", Config{Max: time.Minute}, "Max"},
		{"a short window", Config{Quantile: 0.9, Window: minWindow - 1}, "Window"},
		{"a long window", Config{Quantile: 0.9, Window: maxWindow + 1}, "Window"},
		{"a window without Quantile", Config{Window: time.Minute}, "Window"},
		{"fewer samples than none", Config{Quantile: 0.9, MinSamples: -1}, "MinSamples"},
		{"too many samples", Config{Quantile: 0.9, MinSamples: maxSamples + 1}, "MinSamples"},
		{"samples without Quantile", Config{MinSamples: 1}, "MinSamples"},
		{"fewer losers than none", Config{MaxLosers: -1}, "MaxLosers"},
		{"too many losers", Config{MaxLosers: maxLosers + 1}, "MaxLosers"},
		{"an unknown fail policy", Config{OnFailure: 99}, "OnFailure"},
	}, "ReplaceFailed", "Budget")
	err := Config{Delay: -1, MaxExtra: -1, OnFailure: 7}.Validate()
	if got := configtest.Faulty(err); !slices.Equal(got, []string{"Delay", "MaxExtra", "OnFailure"}) {
		t.Errorf("faults in %v", got)
	}
	if want := "hedge: Delay -1ns: must be from 1µs to 24h0m0s"; !strings.Contains(err.Error(), want) {
		t.Errorf("error does not read well: %v", err)
	}
}

func TestTheLimitsOfARangeAreInIt(t *testing.T) {
	for _, c := range []Config{
		{},
		{Delay: minDelay, MaxExtra: 1, MaxLosers: 1},
		{Delay: maxDelay, MaxExtra: maxExtra, MaxLosers: maxLosers},
		{Delay: 1e9, Quantile: 0.999, Min: 1e9, Max: 1e9, Window: minWindow, MinSamples: 1},
		{Quantile: 0.001, Min: minDelay, Max: maxDelay, Window: maxWindow, MinSamples: maxSamples},
		{Delay: minDelay, Quantile: 0.5},
		{Delay: maxDelay, Quantile: 0.5},
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
		"NewMachine":  func() { newTestMachine(Config{Delay: -1}) },
		"Reconfigure": func() { newTestMachine(Config{}).Reconfigure(0, Config{Delay: -1}) },
	})
}

func TestDocumentedDefaultsAreTheDefaults(t *testing.T) {
	configtest.Defaults(t, 0, Config{}.withDefaults())
}

func TestAConfigNamesItsBudget(t *testing.T) {
	if got := (Config{Delay: sec}).LogValue().String(); !strings.Contains(got, "delay=1s") || strings.Contains(got, "budget") {
		t.Error(got)
	}
}
