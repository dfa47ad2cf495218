package backpressure

import (
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/bulwark-go/bulwark/patterns"
)

// watermark.json is a trace of a slow reference program.
type vector struct {
	Params struct {
		Max        int `json:"max"`
		High       int `json:"high"`
		Low        int `json:"low"`
		MaxWaiters int `json:"max_waiters"`
	} `json:"params"`
	Steps []struct {
		T    patterns.Instant `json:"t_ns"`
		Op   string           `json:"op"`
		Args struct {
			ID int `json:"id"`
		} `json:"args"`
		Expect struct {
			Granted []int  `json:"granted"`
			Result  string `json:"result"`
			Pending int    `json:"pending"`
			Waiting int    `json:"waiting"`
			Hot     bool   `json:"hot"`
			Event   string `json:"event"`
		} `json:"expect"`
	} `json:"steps"`
}

func TestVectors(t *testing.T) {
	text, err := os.ReadFile(filepath.Join("testdata", "watermark.json"))
	if err != nil {
		t.Fatal(err)
	}
	var v vector
	if err := json.Unmarshal(text, &v); err != nil {
		t.Fatal(err)
	}
	if len(v.Steps) < 100 {
		t.Fatalf("%d steps", len(v.Steps))
	}
	h := newHost(t, Config{MaxPending: v.Params.Max, HighWater: v.Params.High, LowWater: v.Params.Low, MaxWaiting: v.Params.MaxWaiters})
	for i, s := range v.Steps {
		h.Now = max(h.Now, s.T*1000) // the host's timer needs a nanosecond of its own
		result := ""
		switch s.Op {
		case "acquire":
			result, _ = h.Acquire(s.Args.ID, patterns.Request{})
		case "release":
			result = "released"
			if out := h.Labels(); len(out) > 0 {
				h.End(out[0], patterns.Success)
			} else { // the reference clamps at nothing pending
				h.M.Release(h.Now, patterns.PermitID{})
			}
		case "cancel":
			if result = "unknown"; h.Cancel(s.Args.ID) {
				result = "cancelled"
			}
		default:
			t.Fatalf("step %d: unknown op %q", i, s.Op)
		}
		snap := h.M.Snapshot(h.Now, patterns.Counts{})
		if result != s.Expect.Result || snap.Pending != s.Expect.Pending || len(h.Queue) != s.Expect.Waiting || snap.Hot != s.Expect.Hot {
			t.Fatalf("step %d %s %d: %s, pending %d, waiting %d, hot %v; want %+v",
				i, s.Op, s.Args.ID, result, snap.Pending, len(h.Queue), snap.Hot, s.Expect)
		}
		if got := h.Taken(); !slices.Equal(got, s.Expect.Granted) {
			t.Fatalf("step %d %s %d: granted %v, want %v", i, s.Op, s.Args.ID, got, s.Expect.Granted)
		}
		if got := strings.Join(marks(h.Drained()), ","); got != s.Expect.Event {
			t.Fatalf("step %d %s %d: events %q, want %q", i, s.Op, s.Args.ID, got, s.Expect.Event)
		}
	}
}

// marks names the water marks that the events say were reached.
func marks(events []patterns.Event) (names []string) {
	for _, e := range events {
		switch {
		case Heated(e):
			names = append(names, "high")
		case Cooled(e):
			names = append(names, "low")
		}
	}
	return names
}
