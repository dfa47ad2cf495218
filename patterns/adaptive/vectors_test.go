package adaptive

import (
	"encoding/json"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/bulwark-go/bulwark/patterns"
)

// The vectors in testdata were made by running Netflix concurrency-limits.
type vector struct {
	Algorithm string `json:"algorithm"`
	Params    struct {
		Initial    int           `json:"initial"`
		Min        int           `json:"min"`
		Max        int           `json:"max"`
		Backoff    float64       `json:"backoff"`
		Timeout    time.Duration `json:"timeout_ns"`
		Smoothing  float64       `json:"smoothing"`
		Probe      int           `json:"probe_multiplier"`
		Jitter     float64       `json:"probe_jitter"`
		Tolerance  float64       `json:"tolerance"`
		LongWindow int           `json:"long_window"`
		Queue      float64       `json:"queue"`
		MinWindow  time.Duration `json:"min_window_ns"`
		MaxWindow  time.Duration `json:"max_window_ns"`
		Samples    int           `json:"window_size"`
		MinRTT     time.Duration `json:"min_rtt_ns"`
	} `json:"params"`
	Steps []struct {
		T    patterns.Instant `json:"t_ns"`
		Op   string           `json:"op"`
		Args struct {
			Start    patterns.Instant `json:"start_ns"`
			RTT      time.Duration    `json:"rtt_ns"`
			InFlight int              `json:"inflight"`
			Dropped  bool             `json:"dropped"`
		} `json:"args"`
		Expect struct {
			Limit     int      `json:"limit"`
			Estimated *float64 `json:"estimated"`
		} `json:"expect"`
	} `json:"steps"`
}

func (v *vector) limit(t *testing.T) Limit {
	p := v.Params
	b := Bounds{Initial: p.Initial, Min: max(1, p.Min), Max: p.Max}
	switch v.Algorithm {
	case "aimd":
		return AIMD{Backoff: p.Backoff, Timeout: p.Timeout}.New(b)
	case "vegas":
		return Vegas{Smoothing: p.Smoothing, Probe: p.Probe, Jitter: p.Jitter}.New(b)
	case "gradient":
		return Gradient{Smoothing: p.Smoothing, Tolerance: p.Tolerance, Backoff: p.Backoff}.New(b)
	case "gradient2", "windowed_gradient2":
		g := Gradient2{
			Smoothing: p.Smoothing, Tolerance: p.Tolerance, LongWindow: p.LongWindow, Queue: p.Queue, Window: PerSample,
			Backoff: 1, Freeze: NeverFreeze,
		}
		if v.Algorithm == "gradient2" {
			return g.New(b)
		}
		return Window{Of: g, Min: p.MinWindow, Max: p.MaxWindow, Samples: p.Samples, MinRTT: p.MinRTT}.New(b)
	}
	t.Fatalf("unknown algorithm %q", v.Algorithm)
	return nil
}

func TestLimitsFollowTheVectorsBitForBit(t *testing.T) {
	files, err := filepath.Glob("testdata/*.json")
	if err != nil || len(files) != 10 {
		t.Fatalf("%d vectors, %v", len(files), err)
	}
	for _, file := range files {
		t.Run(filepath.Base(file), func(t *testing.T) {
			text, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			var v vector
			if err := json.Unmarshal(text, &v); err != nil {
				t.Fatal(err)
			}
			l := v.limit(t)
			for i, s := range v.Steps {
				got := l.Observe(Sample{Now: s.Args.Start + patterns.Instant(s.Args.RTT), RTT: s.Args.RTT, InFlight: s.Args.InFlight, Dropped: s.Args.Dropped})
				if got != s.Expect.Limit {
					t.Fatalf("step %d %+v: limit %d", i, s, got)
				}
				if want := s.Expect.Estimated; want != nil && l.Estimate() != *want {
					t.Fatalf("step %d %+v: estimated %v, want %v", i, s, l.Estimate(), *want)
				}
			}
		})
	}
}
