package ratelimiter

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/bulwark-go/bulwark/patterns"
)

// The vectors are traces of slow reference programs. Those of rules are with the rules; here
// they go through a whole Machine.
const ofRules = "../internal/rate/testdata"

type vectorRate struct {
	Rate   int64         `json:"rate"`
	Period time.Duration `json:"period_ns"`
	Burst  int64         `json:"burst"`
}

func (v vectorRate) rate() Rate { return Rate{v.Rate, v.Period, v.Burst} }

type vector struct {
	Algorithm string
	Params    struct {
		vectorRate
		Limit  int64         `json:"limit"`
		Window time.Duration `json:"window_ns"`
		Offset int64         `json:"offset_ns"`
		Tiers  []vectorRate
	}
	Steps []vectorStep
}

type vectorStep struct {
	T    patterns.Instant `json:"t_ns"`
	Op   string
	Args struct {
		vectorRate
		N       int           `json:"n"`
		MaxWait time.Duration `json:"max_wait_ns"`
		Text    string
	}
	Expect map[string]any
}

func readVector(t *testing.T, file string) (v vector) {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(text, &v); err != nil {
		t.Fatal(err)
	}
	if len(v.Steps) == 0 {
		t.Fatalf("%s has no steps", file)
	}
	return v
}

func (v *vector) config() Config {
	window := Rate{Count: v.Params.Limit, Per: v.Params.Window}
	switch v.Algorithm {
	case "sliding_log":
		return Config{Rate: window, Algorithm: SlidingLog}
	case "sliding_counter":
		return Config{Rate: window, Algorithm: SlidingWindow}
	case "fixed_window":
		return Config{Rate: window, Algorithm: FixedWindow}
	case "tiers":
		var rates []Rate
		for _, r := range v.Params.Tiers {
			rates = append(rates, r.rate())
		}
		return Config{Tiers: Several(rates...)}
	}
	return Config{Rate: v.Params.rate()}
}

func number(d time.Duration) float64 { return float64(d) }

// play makes one step of a key of m and returns what can be expected of it.
func play(t *testing.T, m *Machine, step vectorStep, key string) map[string]any {
	t.Helper()
	r := &patterns.Request{Key: key, Weight: step.Args.N}
	var a Answer
	got := map[string]any{}
	switch {
	case step.Op == "set_limit":
		m.Reconfigure(step.T, Config{Rate: step.Args.rate(), MaxKeys: m.cfg.MaxKeys})
	case step.Op == "refund":
		m.Tick(step.T)
		m.forget() // or what was promised to others would stay promised
		b := m.find(key)
		b.law.Refund(b.state, int64(m.hi), int64(m.hi), int64(step.Args.N))
	case step.Args.N == 0: // to a Request it means 1
		m.Tick(step.T)
		got["allowed"], got["retry_after_ns"], got["tier"], got["ok"], got["wait_ns"], got["taken"] = true, 0.0, -1.0, true, 0.0, 0.0
	case step.Op == "allow":
		a = m.Take(step.T, r)
	case step.Op == "peek":
		a = m.Peek(step.T, r)
	case step.Op == "take_up_to":
		taken := m.TakeUpTo(step.T, r)
		a, got["taken"] = taken.Answer, float64(taken.N)
	case step.Op == "reserve":
		v, err := m.Reserve(step.T, r, step.Args.MaxWait)
		got["ok"], got["wait_ns"] = err == nil, number(v.At.Sub(m.wall(m.hi)))
		if err != nil {
			got["wait_ns"] = number(m.Peek(step.T, r).RetryAfter)
		}
	default:
		t.Fatalf("unknown op %q", step.Op)
	}
	if len(got) < 3 {
		got["allowed"], got["retry_after_ns"] = a.Allowed, number(a.RetryAfter)
		got["tier"] = -1.0
		for i, r := range m.law.rates {
			if !a.Allowed && r == a.Rate {
				got["tier"] = float64(i)
			}
		}
	}
	b := m.find(key)
	got["remaining"] = float64(b.law.Remaining(b.state, int64(m.hi)))
	got["reset_after_ns"] = float64(b.law.Reset(b.state, int64(m.hi)))
	return got
}

func TestMachineFollowsTheVectors(t *testing.T) {
	files, _ := filepath.Glob(filepath.Join(ofRules, "*.json"))
	played := 0
	for _, file := range files {
		// Guava counts in microseconds, and all Tiers of a Config are of one Algorithm.
		if base := filepath.Base(file); strings.HasPrefix(base, "warmup_guava_") || base == "tiers_02.json" {
			continue
		}
		played++
		for name, maxKeys := range map[string]int{"": NoKeys, " of a key": 3} {
			t.Run(filepath.Base(file)+name, func(t *testing.T) {
				v := readVector(t, file)
				c := v.config()
				c.MaxKeys = maxKeys
				m := NewMachine(Params{Origin: time.Unix(0, -v.Params.Offset), Now: v.Steps[0].T, Config: c})
				for i, step := range v.Steps {
					if b := m.find("a key"); maxKeys > 0 && step.Op == "set_limit" && m.law.Fresh(b.state, int64(max(m.hi, step.T))) {
						return // such a key starts anew, and is given the new burst
					}
					got := play(t, m, step, "a key")
					for field, want := range step.Expect {
						if g, ok := got[field]; !ok || g != want {
							t.Fatalf("step %d %+v: %s = %v, want %v", i, step, field, g, want)
						}
					}
					if err := m.Check(); err != nil {
						t.Fatalf("step %d: %v", i, err)
					}
				}
			})
		}
	}
	if played < 23 {
		t.Errorf("only %d vectors", played)
	}
}
