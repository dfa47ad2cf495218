package rate

import (
	"encoding/json"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// The vectors in testdata are traces of slow reference programs, and of Guava itself. Those
// of the programs go through the Machine of patterns/ratelimiter too.

type ruleParams struct {
	Kind   string `json:"kind"`
	Rate   int64  `json:"rate"`
	Period int64  `json:"period_ns"`
	Burst  int64  `json:"burst"`
	Limit  int64  `json:"limit"`
	Window int64  `json:"window_ns"`
	Offset int64  `json:"offset_ns"`
}

func (p ruleParams) rule(t *testing.T, kind string) Rule {
	t.Helper()
	switch kind {
	case "gcra":
		return NewBucket(p.Rate, p.Period, p.Burst)
	case "sliding_log":
		return NewLog(p.Limit, p.Window)
	case "sliding_counter":
		return NewCounter(p.Limit, p.Window, p.Offset)
	case "fixed_window":
		return NewFixed(p.Limit, p.Window, p.Offset)
	}
	t.Fatalf("unknown algorithm %q", kind)
	return nil
}

type vector struct {
	Algorithm string
	Params    struct {
		ruleParams
		Tiers      []ruleParams
		PerSecond  float64 `json:"per_second"`
		WarmUp     float64 `json:"warmup_us"`
		ColdFactor float64 `json:"cold_factor"`
	}
	Steps []struct {
		T    int64 `json:"t_ns"`
		Op   string
		Args struct {
			N         int64   `json:"n"`
			MaxWait   int64   `json:"max_wait_ns"`
			Rate      int64   `json:"rate"`
			Period    int64   `json:"period_ns"`
			Burst     int64   `json:"burst"`
			PerSecond float64 `json:"per_second"`
		}
		Expect map[string]any
	}
}

func (v *vector) tiers(t *testing.T) *Tiers {
	t.Helper()
	if v.Algorithm != "tiers" {
		return NewTiers(v.Params.rule(t, v.Algorithm))
	}
	var rules []Rule
	for _, p := range v.Params.Tiers {
		rules = append(rules, p.rule(t, p.Kind))
	}
	return NewTiers(rules...)
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

// key is one key under some rules, with the clock that its owner keeps.
type key struct {
	rules *Tiers
	s     []uint64
	hi    int64
}

func newKey(now int64, rules *Tiers) *key {
	k := &key{rules: rules, s: make([]uint64, rules.Words()), hi: now}
	rules.Start(k.s, now)
	return k
}

func (k *key) allow(n int64, take bool) map[string]any {
	wait, tier := k.rules.Wait(k.s, k.hi, n)
	if wait == 0 && take {
		k.rules.Charge(k.s, k.hi, n)
	}
	return map[string]any{"allowed": wait == 0, "retry_after_ns": float64(wait), "tier": float64(tier)}
}

func (k *key) takeUpTo(n int64) map[string]any {
	taken := min(n, k.rules.Remaining(k.s, k.hi))
	wait := int64(0)
	if taken == 0 && n > 0 {
		wait, _ = k.rules.Wait(k.s, k.hi, 1)
	}
	k.rules.Charge(k.s, k.hi, taken)
	return map[string]any{"taken": float64(taken), "retry_after_ns": float64(wait)}
}

func (k *key) reserve(n, maxWait int64) map[string]any {
	wait, _ := k.rules.Wait(k.s, k.hi, n)
	ok := wait >= 0 && wait <= maxWait
	if ok {
		k.rules.Charge(k.s, k.hi, n)
	}
	return map[string]any{"ok": ok, "wait_ns": float64(wait)}
}

func TestRulesFollowTheVectors(t *testing.T) {
	files, _ := filepath.Glob("testdata/*.json")
	played := 0
	for _, file := range files {
		if strings.Contains(file, "warmup") {
			continue
		}
		played++
		t.Run(filepath.Base(file), func(t *testing.T) {
			v := readVector(t, file)
			k := newKey(v.Steps[0].T, v.tiers(t))
			for i, step := range v.Steps {
				k.hi = max(k.hi, step.T)
				var got map[string]any
				switch step.Op {
				case "allow", "peek":
					got = k.allow(step.Args.N, step.Op == "allow")
				case "take_up_to":
					got = k.takeUpTo(step.Args.N)
				case "reserve":
					got = k.reserve(step.Args.N, step.Args.MaxWait)
				case "refund":
					k.rules.Refund(k.s, k.hi, k.hi, step.Args.N)
					got = map[string]any{}
				case "set_limit":
					to := NewTiers(NewBucket(step.Args.Rate, step.Args.Period, step.Args.Burst))
					dst := make([]uint64, to.Words())
					k.rules.Convert(k.s, to, dst, k.hi)
					k.rules, k.s = to, dst
					got = map[string]any{}
				default:
					t.Fatalf("step %d: unknown op %q", i, step.Op)
				}
				got["remaining"] = float64(k.rules.Remaining(k.s, k.hi))
				got["reset_after_ns"] = float64(k.rules.Reset(k.s, k.hi))
				for field, want := range step.Expect {
					if g, ok := got[field]; !ok || g != want {
						t.Fatalf("step %d %+v: %s = %v, want %v", i, step, field, g, want)
					}
				}
				if problem := k.rules.Check(k.s, k.hi); problem != "" {
					t.Fatalf("step %d: %s", i, problem)
				}
			}
		})
	}
	if played < 24 {
		t.Errorf("only %d vectors", played)
	}
}

// Guava counts in microseconds and cuts fractions off.
func TestWarmUpFollowsGuava(t *testing.T) {
	files, _ := filepath.Glob("testdata/warmup_guava_*.json")
	if len(files) != 3 {
		t.Fatalf("%d vectors", len(files))
	}
	for _, file := range files {
		t.Run(filepath.Base(file), func(t *testing.T) {
			v := readVector(t, file)
			p := v.Params
			w := newWarmUp(1e6/p.PerSecond, p.WarmUp, p.ColdFactor)
			s := make([]uint64, warmWords)
			w.Start(s, 0)
			for i, step := range v.Steps {
				now := step.T / 1000
				got := map[string]any{}
				switch step.Op {
				case "reserve":
					got["wait_us"] = float64(w.Wait(s, now, step.Args.N))
					w.Charge(s, now, step.Args.N)
				case "set_rate":
					to := newWarmUp(1e6/step.Args.PerSecond, p.WarmUp, p.ColdFactor)
					w.convert(s, to, s, now)
					w = to
				}
				got["stored"] = math.Float64frombits(s[warmStored])
				for field, want := range step.Expect {
					g, ok := got[field].(float64)
					if want := want.(float64); !ok || math.Abs(g-want) > 1e-9*math.Abs(want)+1e-12 {
						t.Fatalf("step %d %+v: %s = %v, want %v", i, step, field, got[field], want)
					}
				}
			}
		})
	}
}
