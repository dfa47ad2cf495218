package circuitbreaker

import (
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/bulwark-go/bulwark/patterns"
)

// The vectors in testdata are traces of slow reference programs.

type vector struct {
	Params vectorParams `json:"params"`
	Steps  []vectorStep `json:"steps"`
}

type fraction struct{ Num, Den float64 }

func (f *fraction) float() float64 {
	if f == nil {
		return 0
	}
	return f.Num / f.Den
}

type vectorParams struct {
	Failures         int           `json:"failures"`
	MinCalls         int           `json:"min_calls"`
	FailureThreshold *fraction     `json:"failure_threshold"`
	SlowThreshold    *fraction     `json:"slow_threshold"`
	SlowCall         time.Duration `json:"slow_call_ns"`
	Open             time.Duration `json:"open_ns"`
	OpenFactor       float64       `json:"open_factor"`
	MaxOpen          time.Duration `json:"max_open_ns"`
	HalfOpenPermits  int           `json:"half_open_permits"`
	ProbeTimeout     time.Duration `json:"probe_timeout_ns"`
	Window           string        `json:"window"`
	Size             int           `json:"size"`
	Buckets          int           `json:"buckets"`
	Bucket           time.Duration `json:"bucket_ns"`
	StartNum         float64       `json:"start_num"`
	StartDen         float64       `json:"start_den"`
	Ramp             time.Duration `json:"ramp_ns"`
}

func (p vectorParams) config() Config {
	c := Config{
		FailureRatio: p.FailureThreshold.float(), SlowRatio: p.SlowThreshold.float(), SlowCall: p.SlowCall,
		MinSamples: p.MinCalls, Window: Last(p.Size),
		OpenFor: p.Open, OpenFactor: p.OpenFactor, MaxOpenFor: p.MaxOpen,
		Probes: p.HalfOpenPermits, ConcurrentProbes: p.HalfOpenPermits,
		ProbeFailureRatio: p.FailureThreshold.float(), ProbeTimeout: p.ProbeTimeout,
	}
	if p.Window == "time" {
		c.Window = During(p.Bucket * time.Duration(p.Buckets)).Buckets(p.Buckets)
	}
	return c
}

type vectorStep struct {
	T    patterns.Instant `json:"t_ns"`
	Op   string           `json:"op"`
	Args struct {
		Permit   uint64        `json:"permit"`
		Outcome  string        `json:"outcome"`
		Duration time.Duration `json:"duration_ns"`
	} `json:"args"`
	Expect map[string]any `json:"expect"`
}

func readVector(t *testing.T, file string) vector {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("testdata", file))
	if err != nil {
		t.Fatal(err)
	}
	var v vector
	if err := json.Unmarshal(text, &v); err != nil {
		t.Fatal(err)
	}
	if len(v.Steps) == 0 {
		t.Fatalf("%s has no steps", file)
	}
	return v
}

func vectorOutcome(t *testing.T, s string) patterns.Outcome {
	t.Helper()
	o, ok := map[string]patterns.Outcome{"success": patterns.Success, "failure": patterns.Failure, "ignore": patterns.Ignored}[s]
	if !ok {
		t.Fatalf("unknown outcome %q", s)
	}
	return o
}

// host numbers the permits of a Machine and keeps the ledger of those that ended,
// as the shell does.
type host struct {
	m       *Machine
	granted uint64
	permits map[uint64]patterns.PermitID // out
	hi      patterns.Instant
}

func (h *host) acquire(s vectorStep) map[string]any {
	d := h.m.Acquire(s.T, h.granted+1, &patterns.Request{})
	got := map[string]any{"permit": nil, "retry_after_ns": 0.0}
	switch d.Verdict {
	case patterns.Grant:
		h.granted++
		h.permits[h.granted] = patterns.PermitID{Epoch: d.Epoch, ID: h.granted}
		got["permit"] = float64(h.granted)
	case patterns.Refuse:
		refusal, _ := errors.AsType[*OpenError](d.Err)
		got["retry_after_ns"] = float64(refusal.RetryAt.Sub(origin.Add(time.Duration(h.hi))))
	}
	return got
}

func (h *host) result(t *testing.T, s vectorStep) map[string]any {
	p, out := h.permits[s.Args.Permit]
	delete(h.permits, s.Args.Permit)
	counted := false
	if out {
		counted, _ = h.m.Report(s.T, p, vectorOutcome(t, s.Args.Outcome), s.Args.Duration)
	} else {
		h.m.Tick(s.T)
	}
	return map[string]any{"accepted": counted}
}

func TestMachineFollowsTheVectors(t *testing.T) {
	for _, file := range []string{"breaker_count_01.json", "breaker_count_02.json", "breaker_time_01.json", "breaker_time_02.json"} {
		t.Run(file, func(t *testing.T) {
			v := readVector(t, file)
			h := &host{m: newTestMachine(v.Params.config()), permits: map[uint64]patterns.PermitID{}}
			for i, s := range v.Steps {
				h.hi = max(h.hi, s.T)
				var got map[string]any
				switch s.Op {
				case "acquire":
					got = h.acquire(s)
				case "result":
					got = h.result(t, s)
				case "tick":
					h.m.Tick(s.T)
					got = map[string]any{}
				default:
					t.Fatalf("step %d: unknown op %q", i, s.Op)
				}
				snap := h.m.Snapshot(s.T, patterns.Counts{})
				got["state"] = map[State]string{Closed: "closed", Open: "open", HalfOpen: "half_open"}[snap.State]
				got["epoch"] = float64(snap.Epoch)
				got["calls"], got["failures"], got["slow"] = float64(snap.Calls), float64(snap.Failures), float64(snap.Slow)
				for field, want := range s.Expect {
					if g, ok := got[field]; !ok || g != want {
						t.Fatalf("step %d %+v: %s = %v, want %v", i, s, field, g, want)
					}
				}
				if err := h.m.Check(); err != nil {
					t.Fatalf("step %d: %v", i, err)
				}
			}
		})
	}
}

func TestConsecutiveRuleFollowsTheVector(t *testing.T) {
	v := readVector(t, "breaker_consecutive.json")
	m := newTestMachine(Config{ConsecutiveFailures: v.Params.Failures})
	for i, s := range v.Steps {
		// All the calls began before the circuit opened.
		m.Report(s.T, patterns.PermitID{Epoch: 1, ID: uint64(i + 1)}, vectorOutcome(t, s.Args.Outcome), s.Args.Duration)
		snap := m.Snapshot(s.T, patterns.Counts{})
		got := map[string]any{"consecutive": float64(snap.ConsecutiveFailures), "tripped": snap.State == Open}
		for field, want := range s.Expect {
			if g, ok := got[field]; !ok || g != want {
				t.Fatalf("step %d %+v: %s = %v, want %v", i, s, field, g, want)
			}
		}
	}
}

func TestRampFollowsTheVector(t *testing.T) {
	v := readVector(t, "ramp.json")
	m := NewMachine(Params{Origin: origin, Now: -10, Config: Config{
		ConsecutiveFailures: 1, OpenFor: 10, Probes: 1,
		RampFor: v.Params.Ramp, RampStart: v.Params.StartNum / v.Params.StartDen,
	}})
	m.Report(-10, patterns.PermitID{Epoch: 1}, patterns.Failure, 0)
	probe := m.Acquire(0, 1, nil)
	if counted, _ := m.Report(0, patterns.PermitID{Epoch: probe.Epoch, ID: 1}, patterns.Success, 0); !counted {
		t.Fatal("the probe did not close the circuit")
	}
	for i, s := range v.Steps {
		if s.Op != "acquire" {
			t.Fatalf("step %d: unknown op %q", i, s.Op)
		}
		d := m.Acquire(s.T, uint64(i+2), nil)
		if got := d.Verdict == patterns.Grant; got != s.Expect["admitted"] {
			t.Fatalf("step %d %+v: admitted = %v", i, s, got)
		}
	}
}
