package loadshedder

import (
	"fmt"
	"math"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/bulwark-go/bulwark/patterns"
	"github.com/bulwark-go/bulwark/patterns/internal/configtest"
)

func TestValidConfigs(t *testing.T) {
	for name, c := range map[string]Config{
		"zero":             {},
		"one place":        {MaxInFlight: 1},
		"as many as may":   {MaxInFlight: maxInFlight, MaxQueue: maxQueue, MaxWait: math.MaxInt64, MaxKeys: maxKeys, Fair: true, Floor: maxFloor},
		"no queue":         {MaxQueue: NoQueue},
		"no limits":        {MaxWait: Off, QueueDelay: AnyDelay(), CPU: Off, Memory: Off, SchedulingLatency: Off, GC: Off, SampleInterval: Off, Smoothing: Off, Floor: Off, Throttle: Off},
		"every signal":     {CPU: 1, Memory: 1, SchedulingLatency: 1, GC: 1},
		"slow samples":     {SampleInterval: time.Minute},
		"quick ones":       {SampleInterval: 10 * ms, StaleAfter: 20 * ms, RaiseAfter: ms, ClearAfter: ms},
		"PIE":              {QueueDelay: PIE(20 * ms)},
		"slow CoDel":       {QueueDelay: CoDel(time.Hour, time.Hour)},
		"newest first":     {NewestFirst: true},
		"throttle":         {Throttle: 1, ThrottleWindow: time.Hour},
		"leased and fails": {Mode: patterns.Leased(0, 0), OnFailure: patterns.FailClosed},
	} {
		if err := c.Validate(); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		once := c.withDefaults()
		if err := once.Validate(); once != once.withDefaults() || err != nil {
			t.Errorf("%s: defaults are not stable: %+v, %v", name, once, err)
		}
		if m := newTestMachine(c); m.Check() != nil {
			t.Errorf("%s: %v", name, m.Check())
		}
	}
}

func TestInvalidConfigsNameTheField(t *testing.T) {
	nan, inf := math.NaN(), math.Inf(1)
	configtest.Invalid(t, []configtest.Row[Config]{
		{"negative limit", Config{MaxInFlight: -1}, "MaxInFlight"},
		{"huge limit", Config{MaxInFlight: maxInFlight + 1}, "MaxInFlight"},
		{"a queue of less than none", Config{MaxQueue: -2}, "MaxQueue"},
		{"huge queue", Config{MaxQueue: maxQueue + 1}, "MaxQueue"},
		{"negative wait", Config{MaxWait: -2}, "MaxWait"},
		{"a wait without a queue", Config{MaxWait: 2 * sec, MaxQueue: NoQueue}, "MaxWait"},
		{"no target", Config{QueueDelay: CoDel(0, ms)}, "QueueDelay"},
		{"no interval", Config{QueueDelay: CoDel(ms, 0)}, "QueueDelay"},
		{"a negative interval", Config{QueueDelay: CoDel(ms, -ms)}, "QueueDelay"},
		{"a target above the interval", Config{QueueDelay: CoDel(2*ms, ms)}, "QueueDelay"},
		{"an interval without an end", Config{QueueDelay: CoDel(ms, math.MaxInt64)}, "QueueDelay"},
		{"PIE without a target", Config{QueueDelay: PIE(0)}, "QueueDelay"},
		{"PIE with any", Config{QueueDelay: PIE(2 * time.Hour)}, "QueueDelay"},
		{"the newest of no queue", Config{NewestFirst: true, MaxQueue: NoQueue}, "NewestFirst"},
		{"the newest in turns", Config{NewestFirst: true, Fair: true}, "NewestFirst"},
		{"negative CPU", Config{CPU: -0.5}, "CPU"},
		{"per cent", Config{CPU: 85}, "CPU"},
		{"CPU that is no number", Config{CPU: nan}, "CPU"},
		{"memory per cent", Config{Memory: 1.01}, "Memory"},
		{"memory that is no number", Config{Memory: nan}, "Memory"},
		{"memory without an end", Config{Memory: inf}, "Memory"},
		{"negative latency", Config{SchedulingLatency: -2}, "SchedulingLatency"},
		{"negative GC", Config{GC: -2}, "GC"},
		{"GC that is no number", Config{GC: nan}, "GC"},
		{"samples too often", Config{SampleInterval: ms}, "SampleInterval"},
		{"negative interval", Config{SampleInterval: -2}, "SampleInterval"},
		{"samples too seldom", Config{SampleInterval: time.Hour}, "SampleInterval"},
		{"negative smoothing", Config{Smoothing: -2}, "Smoothing"},
		{"negative hold", Config{RaiseAfter: -1}, "RaiseAfter"},
		{"a hold of nothing", Config{RaiseAfter: 1}, "RaiseAfter"},
		{"negative clear", Config{ClearAfter: -1}, "ClearAfter"},
		{"negative mark", Config{ClearBelow: -0.1}, "ClearBelow"},
		{"no mark", Config{ClearBelow: 1}, "ClearBelow"},
		{"a mark that is no number", Config{ClearBelow: nan}, "ClearBelow"},
		{"stale at once", Config{StaleAfter: 499 * ms}, "StaleAfter"},
		{"negative age", Config{StaleAfter: -1, SampleInterval: Off}, "StaleAfter"},
		{"negative floor", Config{Floor: -2}, "Floor"},
		{"a floor that is no number", Config{Floor: nan}, "Floor"},
		{"a floor without an end", Config{Floor: inf}, "Floor"},
		{"a throttle below one", Config{Throttle: 0.99}, "Throttle"},
		{"a throttle that is no number", Config{Throttle: nan}, "Throttle"},
		{"a throttle without an end", Config{Throttle: inf}, "Throttle"},
		{"a window of no throttle", Config{ThrottleWindow: time.Minute}, "ThrottleWindow"},
		{"a short window", Config{Throttle: 2, ThrottleWindow: ms}, "ThrottleWindow"},
		{"a long window", Config{Throttle: 2, ThrottleWindow: 2 * time.Hour}, "ThrottleWindow"},
		{"no keys", Config{Fair: true, MaxKeys: -1}, "MaxKeys"},
		{"many keys", Config{Fair: true, MaxKeys: maxKeys + 1}, "MaxKeys"},
		{"keys for nothing", Config{MaxKeys: 5}, "MaxKeys"},
		{"negative lease", Config{Mode: patterns.Leased(-1, 0)}, "Mode"},
		{"unknown fail policy", Config{OnFailure: 99}, "OnFailure"},
	}, "Fair")
	all := Config{MaxInFlight: -1, MaxQueue: -9, CPU: nan, Floor: -5, OnFailure: 7}.Validate()
	if got := configtest.Faulty(all); !slices.Equal(got, []string{"MaxInFlight", "MaxQueue", "CPU", "Floor", "OnFailure"}) {
		t.Errorf("faults in %v", got)
	}
	if want := "loadshedder: MaxInFlight -1: must be from 1 to 4194304"; !strings.Contains(all.Error(), want) {
		t.Errorf("error does not read well: %v", all)
	}
}

func TestWhatCallersHoldIsFixed(t *testing.T) {
	c := Config{Mode: patterns.Leased(0, 0)}.withDefaults()
	if err := c.successor(with(c, func(c *Config) { c.MaxInFlight, c.Fair = 5, true })); err != nil {
		t.Error(err)
	}
	next := Config{MaxInFlight: -1, OnFailure: patterns.FailClosed}
	if got := configtest.Faulty(c.successor(next)); !slices.Equal(got, []string{"Mode", "OnFailure", "MaxInFlight"}) {
		t.Errorf("faults in %v", got)
	}
	m := newTestMachine(c)
	m.Reconfigure(0, Config{OnFailure: patterns.FailClosed, MaxInFlight: 7}) // by message
	if m.cfg.Mode != c.Mode || m.cfg.OnFailure != c.OnFailure || m.limit != 7 {
		t.Errorf("%+v", m.cfg)
	}
}

func TestNobodyRunsAnInvalidConfig(t *testing.T) {
	configtest.NobodyRuns(t, map[string]func(){
		"NewMachine":  func() { newTestMachine(Config{MaxInFlight: -1}) },
		"Reconfigure": func() { newTestMachine(Config{}).Reconfigure(0, Config{MaxInFlight: -1}) },
	})
}

func TestDocumentedDefaultsAreTheDefaults(t *testing.T) {
	configtest.Defaults(t, Off, Config{}.withDefaults())
}

// The levels of the page and of the constants are those of the marks.
func TestDocumentedLevelsAreTheLevels(t *testing.T) {
	page, err := os.ReadFile("../../docs/patterns/loadshedder.md")
	if err != nil {
		t.Fatal(err)
	}
	for l, above := range map[Level]float64{Elevated: ElevatedAbove, High: HighAbove, Critical: CriticalAbove} {
		if !strings.Contains(string(page), fmt.Sprintf("| `%s` | > %.0f %% |", l, 100*above)) {
			t.Errorf("the page does not say when %v begins", l)
		}
		for _, limit := range []int{1, 3, 7, 100, 1000, maxInFlight} {
			m := marksOf(limit, 1)
			for n := max(0, int(above*float64(limit))-2); n <= min(limit, int(above*float64(limit))+2); n++ {
				share := float64(n*100) / float64(limit)
				if is, want := m.level(n) >= l, share > math.Round(100*above); is != want {
					t.Errorf("%d of %d: %v", n, limit, m.level(n))
				}
			}
		}
	}
}
