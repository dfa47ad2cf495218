package actors

import (
	"slices"
	"testing"

	"pgregory.net/rapid"

	"github.com/bulwark-go/bulwark/patterns"
)

// The twin is a slice that is sorted again for every look.
func TestDeadlinesComeInOrder(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var (
			d    deadlines
			twin []patterns.Instant
			l    ledger
			now  patterns.Instant
		)
		add := func(at patterns.Instant, named bool) {
			x := deadline{at: at, line: &line{alarmID: 1}, sequence: 1}
			if !named {
				x.sequence = 2
			} else {
				twin = append(twin, at)
			}
			d.add(x)
		}
		t.Repeat(map[string]func(*rapid.T){
			"one more":          func(t *rapid.T) { add(now+patterns.Instant(rapid.IntRange(0, 50).Draw(t, "in")), true) },
			"one that is stale": func(t *rapid.T) { add(now+patterns.Instant(rapid.IntRange(0, 50).Draw(t, "in")), false) },
			"many that are stale": func(t *rapid.T) {
				for range rapid.IntRange(1, 80).Draw(t, "n") {
					add(now+patterns.Instant(rapid.IntRange(0, 50).Draw(t, "in")), false)
				}
			},
			"swept": func(*rapid.T) { d.sweep(len(twin), &l) },
			"time passes": func(t *rapid.T) {
				now += patterns.Instant(rapid.IntRange(0, 30).Draw(t, "by"))
				slices.Sort(twin)
				for x, ok := d.due(now); ok; x, ok = d.due(now) {
					if !x.names(&l) {
						continue
					}
					if len(twin) == 0 || twin[0] != x.at {
						t.Fatalf("%d came, want %v", x.at, twin)
					}
					twin = twin[1:]
				}
				if len(twin) > 0 && twin[0] <= now {
					t.Fatalf("%v did not come by %d", twin, now)
				}
			},
			"": func(t *rapid.T) {
				slices.Sort(twin)
				if at := d.earliest(); len(twin) > 0 && at > twin[0] || len(d) == 0 && at != patterns.Never {
					t.Fatalf("the earliest is %d, want %v", at, twin)
				}
			},
		})
	})
}

func TestStaleDeadlinesDoNotPileUp(t *testing.T) {
	var (
		d deadlines
		l ledger
	)
	for i := range 10_000 {
		d.add(deadline{at: patterns.Instant(i), line: new(line), sequence: 1})
		d.sweep(0, &l)
	}
	if len(d) > 64 {
		t.Errorf("%d are kept", len(d))
	}
}

func TestAllocsOfADeadline(t *testing.T) {
	d := make(deadlines, 0, 8)
	l := new(line)
	if got := testing.AllocsPerRun(100, func() {
		d.add(deadline{at: 2, line: l})
		d.add(deadline{at: 1, line: l})
		d.due(5)
		d.due(5)
	}); got > 0 {
		t.Errorf("%v allocations", got)
	}
}
