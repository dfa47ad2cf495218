package backpressure

import (
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/bulwark-go/bulwark/patterns"
	"github.com/bulwark-go/bulwark/patterns/internal/configtest"
)

func TestMarksThatAreNotGivenFollowFromThoseThatAre(t *testing.T) {
	for _, tt := range []struct {
		name           string
		cfg            Config
		max, high, low int
	}{
		{"nothing given", Config{}, 1000, 800, 200},
		{"only the maximum", Config{MaxPending: 500}, 500, 400, 100},
		{"of 1", Config{MaxPending: 1}, 1, 1, 0},
		{"of 2", Config{MaxPending: 2}, 2, 2, 0},
		{"of 3", Config{MaxPending: 3}, 3, 3, 0},
		{"of 7", Config{MaxPending: 7}, 7, 6, 1},
		{"the largest", Config{MaxPending: maxPending}, maxPending, 1717986918, 429496729},
		{"a high mark below the default low one", Config{HighWater: 100}, 1000, 100, 99},
		{"a high mark of 1", Config{HighWater: 1}, 1000, 1, 0},
		{"a low mark", Config{LowWater: 799}, 1000, 800, 799},
		{"drained", Config{LowWater: Drained}, 1000, 800, 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if err := tt.cfg.Validate(); err != nil {
				t.Fatal(err)
			}
			m := newTestMachine(tt.cfg)
			if m.limit != tt.max || m.high != tt.high || m.low != tt.low {
				t.Errorf("marks %d/%d/%d", m.limit, m.high, m.low)
			}
			if once := tt.cfg.withDefaults(); once != once.withDefaults() || once.Validate() != nil {
				t.Errorf("defaults are not stable: %+v", once)
			}
		})
	}
}

func TestInvalidConfigsNameTheField(t *testing.T) {
	configtest.Invalid(t, []configtest.Row[Config]{
		{"negative maximum", Config{MaxPending: -1}, "MaxPending"},
		{"huge maximum", Config{MaxPending: math.MaxInt}, "MaxPending"},
		{"negative high mark", Config{HighWater: -1}, "HighWater"},
		{"high mark above the maximum", Config{HighWater: 1001}, "HighWater"},
		{"high mark above a given maximum", Config{MaxPending: 5, HighWater: 6}, "HighWater"},
		{"negative low mark", Config{LowWater: -2}, "LowWater"},
		{"low mark at the high one", Config{LowWater: 800}, "LowWater"},
		{"low mark above a given high one", Config{HighWater: 5, LowWater: 6}, "LowWater"},
		{"negative queue", Config{MaxWaiting: -2}, "MaxWaiting"},
		{"huge queue", Config{MaxWaiting: maxWaiting + 1}, "MaxWaiting"},
		{"negative lease", Config{Mode: patterns.Leased(-1, 0)}, "Mode"},
		{"unknown fail policy", Config{OnFailure: 99}, "OnFailure"},
	})
	all := Config{MaxPending: -1, LowWater: -5, MaxWaiting: -9, OnFailure: 7}.Validate()
	if got := configtest.Faulty(all); !slices.Equal(got, []string{"MaxPending", "LowWater", "MaxWaiting", "OnFailure"}) {
		t.Errorf("faults in %v", got)
	}
	if want := "backpressure: MaxPending -1: must be from 1 to 2147483647"; !strings.Contains(all.Error(), want) {
		t.Errorf("error does not read well: %v", all)
	}
}

func TestNobodyRunsAnInvalidConfig(t *testing.T) {
	configtest.NobodyRuns(t, map[string]func(){
		"NewMachine":  func() { newTestMachine(Config{MaxPending: -1}) },
		"Reconfigure": func() { newTestMachine(Config{}).Reconfigure(0, Config{MaxPending: -1}) },
	})
}

func TestDocumentedDefaultsAreTheDefaults(t *testing.T) {
	configtest.Defaults(t, 0, Config{}.withDefaults())
}
