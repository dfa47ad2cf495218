package adaptive

import (
	"math"
	"testing"
	"time"

	"github.com/bulwark-go/bulwark/patterns"
)

var wide = Bounds{Initial: 20, Min: 1, Max: 1000}

// feed shows a limit n samples of a latency that come in one after the other, with the limit
// in use.
func feed(l Limit, from patterns.Instant, n int, rtt time.Duration, dropped bool) (limit int, now patterns.Instant) {
	for range n {
		from += patterns.Instant(rtt)
		limit = l.Observe(Sample{Now: from, RTT: rtt, InFlight: int(l.Estimate()), Full: true, Dropped: dropped})
	}
	return limit, from
}

func TestAIMDCutsOncePerFlightIfToldTo(t *testing.T) {
	lost := func(l Limit, now patterns.Instant) int {
		return l.Observe(Sample{Now: now, RTT: 1000, InFlight: 20, Dropped: true})
	}
	each, once := AIMD{}.New(wide), AIMD{PerFlight: true}.New(wide)
	for range 3 { // which began before any of them ended
		lost(each, 1000)
		lost(once, 1000)
	}
	if each.Estimate() != 14 || once.Estimate() != 18 {
		t.Errorf("limits %v and %v", each.Estimate(), once.Estimate())
	}
	if once.Observe(Sample{Now: 1999, RTT: 1000, InFlight: 20}); once.Estimate() != 19 {
		t.Errorf("limit %v after a good call of the same flight", once.Estimate())
	}
	if got := lost(once, 2000); got != 17 {
		t.Errorf("limit %d after one that began later", got)
	}
}

func TestVegasPutsProbesOffInAnIncidentIfToldTo(t *testing.T) {
	const every = 50 // samples: Jitter × Probe × limit
	for _, tt := range []struct {
		freeze, probes int
		rtt            time.Duration
		frozen         bool
	}{
		{0, 1, 100 * ms, false},
		{2, 1, 100 * ms, true},
		{2, 2, 100 * ms, true},
		{2, 3, 100 * ms, false},
		{2, 1, ms * 101 / 100, false}, // which is no incident
	} {
		l := Vegas{Probe: 1, Jitter: 0.5, Freeze: tt.freeze}.New(Bounds{Initial: 100, Min: 100, Max: 100}).(*vegas)
		_, now := feed(l, 0, 1, ms, false)
		feed(l, now, tt.probes*every-1, tt.rtt, false)
		if frozen := l.best == float64(ms); frozen != tt.frozen {
			t.Errorf("%+v: best latency %v", tt, l.best)
		}
	}
}

func TestGradient2CutsWhenCallsAreLost(t *testing.T) {
	l := Gradient2{Window: PerSample}.New(wide)
	if got, _ := feed(l, 0, 1, ms, true); got != 18 {
		t.Errorf("limit %d", got)
	}
	l = Gradient2{Window: PerSample, Backoff: 1}.New(wide)
	if got, _ := feed(l, 0, 1, ms, true); got != 20 {
		t.Errorf("limit %d without a Backoff", got)
	}
	for lost, want := range map[int]bool{1: false, 2: true} { // of 20
		l := Gradient2{}.New(wide)
		_, now := feed(l, 0, 1, ms, false)
		for i := range 20 {
			l.Observe(Sample{Now: now + 1, RTT: ms, InFlight: 20, Dropped: i < lost})
		}
		l.Observe(Sample{Now: now + patterns.Instant(3*time.Second), RTT: ms, InFlight: 20})
		if cut := l.Estimate() < 20; cut != want {
			t.Errorf("%d of 20 lost: limit %v", lost, l.Estimate())
		}
	}
}

func TestGradient2LearnsNoIncidentForAWhile(t *testing.T) {
	for _, tt := range []struct {
		g       Gradient2
		samples int
		low, hi time.Duration
	}{
		{Gradient2{}, 60, ms, ms},
		{Gradient2{}, 61, ms * 104 / 100, ms * 106 / 100},
		{Gradient2{}, 63, ms * 115 / 100, ms * 117 / 100},
		{Gradient2{Freeze: 5}, 6, ms * 104 / 100, ms * 106 / 100},
		{Gradient2{Freeze: NeverFreeze}, 60, 2 * ms, 20 * ms},
	} {
		tt.g.Window = PerSample
		l := tt.g.New(wide).(*gradient2)
		_, now := feed(l, 0, 50, ms, false)
		_, now = feed(l, now, tt.samples, 10*ms, false)
		if got := time.Duration(l.long.value); got < tt.low-1 || got > tt.hi+1 {
			t.Errorf("%+v: %v after %d", tt.g, got, tt.samples)
		}
		feed(l, now, 1, ms, false)
		if l.frozen != 0 {
			t.Errorf("%+v: still frozen", tt.g)
		}
		feed(l, now, 100, ms, true)
		if tt.g.Freeze != NeverFreeze && l.frozen != 100 {
			t.Errorf("%+v: learned from calls that were lost", tt.g)
		}
	}
}

// watch is a Limit that remembers what it was shown.
type watch struct{ seen *Sample }

func (w watch) Observe(s Sample) int { *w.seen = s; return 1 }

func (watch) Estimate() float64 { return 1 }

func (watch) Set(Bounds, float64) {}

func TestAWindowShowsAMeanOrAPercentile(t *testing.T) {
	for _, tt := range []struct {
		w       Window
		lost    int
		want    time.Duration
		dropped bool
	}{
		{Window{}, 0, 55 * ms, false},
		{Window{}, 1, 55 * ms, true},
		{Window{Losses: 0.2}, 2, 55 * ms, false},
		{Window{Losses: 0.2}, 3, 55 * ms, true},
		{Window{Percentile: 0.5}, 0, 50 * ms, false},
		{Window{Percentile: 0.9}, 0, 90 * ms, false},
		{Window{Percentile: 0.91}, 0, 100 * ms, false},
		{Window{Samples: 11}, 0, 0, false},
		{Window{MinRTT: 11 * ms}, 0, 0, false}, // which leaves nine
	} {
		var seen Sample
		l := newWindowed(watch{&seen}, tt.w.withDefaults())
		l.next = 100
		for i := range 10 {
			l.Observe(Sample{
				Now: 91 + patterns.Instant(i+i/9), RTT: time.Duration(i+1) * 10 * ms, InFlight: i, Dropped: i < tt.lost,
			})
		}
		if math.Abs(float64(seen.RTT-tt.want)) > 0.03*float64(tt.want) || tt.want > 0 && seen.InFlight != 9 || seen.Dropped != tt.dropped {
			t.Errorf("%+v: shown %+v", tt.w, seen)
		}
	}
}

func TestMaxLatencyIsChangedWhileItRuns(t *testing.T) {
	b := wide
	b.MaxLatency = time.Hour
	l := Vegas{}.New(b)
	before, now := feed(l, 0, 50, 10*ms, false)
	b.MaxLatency = ms
	l.Set(b, l.Estimate())
	if after, _ := feed(l, now, 50, 10*ms, false); after >= before/2 {
		t.Errorf("limit %d, and before %d", after, before)
	}
}
