package outlier

import (
	"math"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/bulwark-go/bulwark/patterns"
)

// twin keeps every report, and finds out what they mean whenever it is asked.
type twin struct {
	cfg     Config
	events  [][]event // by host, since it came back, or since the latest sweep where that matters
	out     []time.Duration
	times   []int
	epochs  []uint64
	flights []int
	sweeps  int
}

type event struct {
	sweep int
	good  bool
}

func newTwin(n int, cfg Config) *twin {
	return &twin{cfg: cfg.withDefaults(), events: make([][]event, n), out: make([]time.Duration, n), times: make([]int, n), epochs: make([]uint64, n), flights: make([]int, n)}
}

// advance goes on to now, from one comparison to the next.
func (w *twin) advance(now time.Duration) {
	for w.sweeps < int(now/w.cfg.Interval) {
		at := time.Duration(w.sweeps+1) * w.cfg.Interval
		w.restore(at)
		w.compare(at)
	}
	w.restore(now)
}

func (w *twin) restore(now time.Duration) {
	for i := range w.out {
		if w.out[i] > 0 && w.out[i] <= now {
			w.out[i], w.events[i] = 0, nil
		}
	}
}

func (w *twin) compare(now time.Duration) {
	rates := map[int]float64{}
	for i, all := range w.events {
		n, good := 0, 0
		for _, e := range all {
			if e.sweep == w.sweeps {
				if n++; e.good {
					good++
				}
			}
		}
		if n >= w.cfg.MinRequests && w.out[i] == 0 {
			rates[i] = 100 * float64(good) / float64(n)
		}
	}
	for i := range w.times {
		if w.out[i] == 0 {
			w.times[i] = max(0, w.times[i]-1)
		}
	}
	w.sweeps++
	if len(rates) < w.cfg.MinMembers {
		return
	}
	mean, variance := 0.0, 0.0
	for _, r := range rates {
		mean += r / float64(len(rates))
	}
	for _, r := range rates {
		variance += (r - mean) * (r - mean) / float64(len(rates))
	}
	for i := range w.out {
		r, ok := rates[i]
		if ok && r < mean-w.cfg.Deviations*math.Sqrt(variance)-1e-9 {
			w.eject(now, i)
		}
	}
}

func (w *twin) eject(now time.Duration, i int) {
	n := 1
	for _, at := range w.out {
		if at > 0 {
			n++
		}
	}
	if n == len(w.out) || n > 1 && float64(n) > w.cfg.MaxEjected*float64(len(w.out)) {
		return
	}
	if time.Duration(w.times[i])*w.cfg.EjectFor < w.cfg.MaxEjectFor {
		w.times[i]++
	}
	w.epochs[i]++
	w.out[i] = now + min(time.Duration(w.times[i])*w.cfg.EjectFor, w.cfg.MaxEjectFor)
}

func (w *twin) report(now time.Duration, i int, epoch uint64, good bool) {
	if w.out[i] > 0 || epoch != w.epochs[i] {
		return
	}
	w.events[i] = append(w.events[i], event{w.sweeps, good})
	row := 0
	for _, e := range slices.Backward(w.events[i]) {
		if e.good {
			break
		}
		row++
	}
	if row >= w.cfg.Consecutive {
		w.eject(now, i)
	}
}

func TestTheMachineAgreesWithItsTwin(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.IntRange(1, 7).Draw(t, "members")
		cfg := Config{
			Consecutive: rapid.IntRange(1, 4).Draw(t, "consecutive"), EjectFor: 3 * sec, MaxEjectFor: 8 * sec, Interval: 5 * sec,
			MaxEjected: float64(rapid.IntRange(1, 8).Draw(t, "share")) / 8, Deviations: 0.7, MinMembers: 2, MinRequests: 2,
		}
		m, w := newRig(t, n, cfg), newTwin(n, cfg)
		now := time.Duration(0)
		var out []*place
		for range rapid.IntRange(1, 150).Draw(t, "steps") {
			now += time.Duration(rapid.SampledFrom([]int{0, 0, 0, 1, 500, 7000, 31000}).Draw(t, "ms")) * time.Millisecond
			w.advance(now)
			if len(out) > 0 && rapid.Bool().Draw(t, "report") {
				at := rapid.IntRange(0, len(out)-1).Draw(t, "which")
				p := out[at]
				out = slices.Delete(out, at, at+1)
				o := rapid.SampledFrom([]patterns.Outcome{patterns.Success, patterns.Failure, patterns.Dropped, patterns.Ignored}).Draw(t, "how")
				m.end(now, p, o)
				w.flights[p.slot]--
				if o != patterns.Ignored {
					w.report(now, p.slot, p.good.(ended).era, o == patterns.Success)
				}
			} else {
				avoided := rapid.IntRange(-1, n-1).Draw(t, "avoid")
				p := m.choose(now, avoided)
				out = append(out, p)
				least, others := math.MaxInt, false
				for i := range n {
					if w.out[i] == 0 && i != avoided {
						least, others = min(least, w.flights[i]), true
					}
				}
				switch i := p.slot; {
				case w.out[i] > 0:
					t.Fatalf("at %v a call went to %d, which is ejected", now, i)
				case others && (i == avoided || w.flights[i] != least):
					t.Fatalf("at %v a call went to %d, which has %d under way", now, i, w.flights[i])
				}
				w.flights[p.slot]++
			}
			for i, got := range m.Snapshot(patterns.Instant(now), patterns.Counts{}).Members {
				if got.Ejected != (w.out[i] > 0) || got.Ejected && got.Remaining != w.out[i]-now || got.Ejections != w.epochs[i] {
					t.Fatalf("at %v member %d is %+v; want out until %v, %d times", now, i, got, w.out[i], w.epochs[i])
				}
			}
			m.sound()
		}
	})
}
