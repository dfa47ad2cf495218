package adaptive

import (
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/bulwark-go/bulwark/internal/simulation"
)

// rivals are measured with the same bounds, and their own defaults otherwise.
var rivals = []Algorithm{Knee{}, AIMD{}, Vegas{}, Gradient{}, Gradient2{}}

// TestWriteTheScores makes the committed table. It takes minutes:
//
//	BULWARK_SOAK=1 go test -run TestWriteTheScores ./patterns/adaptive -rewrite
func TestWriteTheScores(t *testing.T) {
	if os.Getenv("BULWARK_SOAK") != "1" || !*rewrite {
		if os.Getenv("BULWARK_SOAK") == "" {
			t.Skip("for a soak run with -rewrite")
		}
		return
	}
	var found, table strings.Builder
	head(&table)
	for _, s := range experiments() {
		bests := make([]simulation.Best, 0, seeds)
		for _, s := range seeded(s) {
			b := simulation.Sweep(s)
			bests = append(bests, b)
			fmt.Fprintf(&found, "%s %d %.1f %.3f %.1f\n", bestKey(s), b.Limit, b.Goodput, b.P99.Seconds()*1000, b.Changed)
		}
		tableRow(&table, s, bests)
	}
	tableClasses(&table)
	for name, text := range map[string]string{bestFile: found.String(), scoresFile: table.String()} {
		if err := os.WriteFile(name, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

func head(w *strings.Builder) {
	fmt.Fprintf(w, "Goodput (mean of %d seeds) and p99 (worst seed) as multiples of the best fixed limit's: the one with the\n", seeds)
	fmt.Fprintf(w, "highest goodput, and of those within 1 %% of it the lowest p99. Initial 20, Min 1, Max 10000, no queue in front.\n")
	fmt.Fprintf(w, "Recovery is until goodput is back at 0.9 over a second, and at 0.95 from then on.\n\n")
	fmt.Fprintf(w, "%-14s %6s %9s %9s |", "", "best", "calls/s", "p99")
	for _, a := range rivals {
		fmt.Fprintf(w, " %-11s |", a)
	}
	fmt.Fprintf(w, " knee, worst seed\n")
}

func tableRow(w *strings.Builder, s simulation.Scenario, bests []simulation.Best) {
	b := bests[0]
	fmt.Fprintf(w, "%-14s %6d %9.1f %9v |", s.Name, b.Limit, b.Goodput, b.P99.Round(b.P99/200))
	var least float64
	var recovery time.Duration
	for i, a := range rivals {
		sum, p99, low := 0.0, 0.0, 9.0
		for j, s := range seeded(s) {
			sc := run(s, newSubject(a), bests[j])
			sum += sc.goodput
			p99, low = max(p99, sc.p99), min(low, sc.goodput)
			if i == 0 {
				recovery = max(recovery, sc.recovery)
			}
		}
		if i == 0 {
			least = low
		}
		fmt.Fprintf(w, " %.2f %6.1f |", sum/float64(len(bests)), p99)
	}
	fmt.Fprintf(w, " %.3f", least)
	switch s.Name {
	case "step", "slowdown", "loss":
		fmt.Fprintf(w, ", recovery %v", recovery)
	}
	fmt.Fprintln(w)
}

func tableClasses(w *strings.Builder) {
	fmt.Fprintf(w, "\n%-34s", "")
	for _, a := range rivals {
		fmt.Fprintf(w, " %-10s", a)
	}
	fmt.Fprintf(w, "\n%-34s", "critical calls at 3x, worst seed")
	for _, a := range rivals {
		worst := 1.0
		for _, s := range seeded(simulation.Priorities()) {
			critical, _ := priorities(s, newSubject(a))
			worst = min(worst, critical)
		}
		fmt.Fprintf(w, " %-10.4f", worst)
	}
	fmt.Fprintf(w, "\n%-34s", "Jain, noisy tenant, worst seed")
	for _, a := range rivals {
		worst := 1.0
		for _, s := range seeded(simulation.NoisyTenant()) {
			jain, _ := tenancy(s, newSubject(a, func(c *Config) { c.Fair = true }))
			worst = min(worst, jain)
		}
		fmt.Fprintf(w, " %-10.4f", worst)
	}
	fmt.Fprintln(w)
}
