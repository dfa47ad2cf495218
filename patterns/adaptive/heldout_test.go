package adaptive

import (
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/bulwark-go/bulwark/internal/simulation"
)

// TestWriteTheHeldOutScores scores the default on seeds that it was not made with, and
// fails on none of them: it is there to show by how much the promises are missed on a
// bad day. What an earlier Knee scored on the first ten was a reason to make this one; the
// last ten nobody had seen.
//
//	BULWARK_SOAK=1 go test -run TestWriteTheHeldOutScores ./patterns/adaptive -rewrite
func TestWriteTheHeldOutScores(t *testing.T) {
	if os.Getenv("BULWARK_SOAK") == "" {
		t.Skip("for a soak run with -rewrite")
	}
	if !*rewrite {
		return
	}
	var w strings.Builder
	fmt.Fprintf(&w, "Knee on seeds that it was not made with: the worst of each column. What an earlier one scored on 4 to 13\n")
	fmt.Fprintf(&w, "was a reason to make this one; 24 to 33 were new when this was written. Services up to 11,000 calls/s. Drift\n")
	fmt.Fprintf(&w, "is the largest ratio of calls in flight early and late in the incident, or before and after it.\n\n")
	for _, first := range []uint64{4, 24} {
		fmt.Fprintf(&w, "seeds %d to %d\n", first, first+9)
		for _, s := range append(simulation.Scenarios(), simulation.Sizes()...) {
			if s.Service.Capacity() < 1.1e4 {
				fmt.Fprintln(&w, heldOut(s, first))
			}
		}
		critical, jain := 1.0, 1.0
		for seed := first; seed < first+20; seed++ {
			p, n := simulation.Priorities(), simulation.NoisyTenant()
			p.Seed, n.Seed = seed, seed
			c, _ := priorities(p, newSubject(Knee{}))
			j, _ := tenancy(n, newSubject(Knee{}, func(c *Config) { c.Fair = true }))
			critical, jain = min(critical, c), min(jain, j)
		}
		fmt.Fprintf(&w, "critical calls at 3x %.4f, Jain with the noisy tenant %.4f (seeds %d to %d)\n\n", critical, jain, first, first+19)
	}
	if err := os.WriteFile("testdata/heldout.txt", []byte(w.String()), 0o644); err != nil {
		t.Fatal(err)
	}
}

func heldOut(s simulation.Scenario, first uint64) string {
	low, p99, recovery, drift := 9.0, 0.0, time.Duration(0), 0.0
	for seed := first; seed < first+10; seed++ {
		s.Seed = seed
		sc := run(s, newSubject(Knee{}), simulation.Sweep(s))
		low, p99, recovery = min(low, sc.goodput), max(p99, sc.p99), max(recovery, sc.recovery)
		if sc.first > 0 {
			drift = max(drift, sc.last/sc.first, sc.first/sc.last, sc.after/sc.before, sc.before/sc.after)
		}
	}
	line := fmt.Sprintf("%-14s goodput %.3f  p99 %.2f", s.Name, low, p99)
	switch s.Name {
	case "step", "slowdown", "loss":
		line += fmt.Sprintf("  recovery %v", recovery)
	case "incident":
		line += fmt.Sprintf("  drift %.2f", drift)
	}
	return line
}
