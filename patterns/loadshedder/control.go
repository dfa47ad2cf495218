package loadshedder

import (
	"errors"
	"math"
	"time"

	"github.com/bulwark-go/bulwark/patterns"
	"github.com/bulwark-go/bulwark/patterns/internal/ewma"
)

// gauge is what is known of one signal.
type gauge struct {
	threshold float64 // Off if the signal is
	clear     float64 // at most this counts as low
	width     float64 // above the threshold, to where it is as bad as it gets

	mean   ewma.Average
	raw    float64
	at     patterns.Instant // of raw; or since when the first one is waited for
	known  bool
	lost   bool // announced
	failed uint64
	err    error // of the last failure

	on      bool
	blamed  bool             // it has been on since the last time that everybody was admitted
	turning bool             // it is beyond the mark that turns it
	since   patterns.Instant // of turning
}

// excess is how far the signal is above its threshold: 1 is as bad as it gets, and -ease as
// good.
func (g *gauge) excess(v float64) float64 {
	if v < g.threshold {
		return ease * max((v-g.threshold)/(g.threshold*headroom), -1)
	}
	return min((v-g.threshold)/g.width, 1)
}

// measure takes a value of now, and reports whether the gauge has turned on or off.
func (g *gauge) measure(now patterns.Instant, v float64, raise, lower time.Duration) (turned bool) {
	g.mean.Add(now, v)
	g.raw, g.at, g.known = v, now, true
	mean, _ := g.mean.Value()
	beyond, hold := mean >= g.threshold, raise
	if g.on {
		beyond, hold = mean <= g.clear, lower
	}
	switch {
	case !beyond:
		g.turning = false
	case !g.turning:
		g.turning, g.since = true, now
	case now.Sub(g.since) >= hold:
		g.on, g.turning, turned = !g.on, false, true
	}
	return turned
}

// forget is for what is not known any more.
func (g *gauge) forget() (turned bool) {
	turned = g.on
	g.mean.Reset()
	g.known, g.on, g.turning = false, false, false
	return turned
}

// control turns signals into the share of requests that is admitted: an integrating
// controller, which comes to rest where the worst signal is at its threshold. It
// multiplies, because a busy processor does not say how much more is asked of it.
type control struct {
	cutting bool    // some signal is on, or not everybody is admitted
	admit   float64 // the share admitted, in (0, 1]
	at      patterns.Instant
	blame   Signal // the worst
}

const (
	// gain is how much faster than itself the share moves at an excess of 1, per second.
	// The delay of the loop is about a SampleInterval; much more would make it swing.
	gain = 0.3
	// ease is how much faster it may grow than shrink: a signal far below its threshold
	// cannot be above it soon.
	ease = 4
	// headroom is how far below its threshold that is, as a share of it.
	headroom = 0.5
	// leastAdmit is the least that is admitted, so that growing does not take for ever.
	leastAdmit = 0.01
	// leastCut is what is not worth to be shed any more.
	leastCut = 0.005
	// longestStep bounds what one measurement does.
	longestStep = time.Second
	// leastWidth is of the thresholds close to 1, so that they do not switch.
	leastWidth = 0.05
)

var (
	errNoReading = errors.New("nothing was measured")
	errNoNumber  = errors.New("the value is no number that is 0 or more")
)

// rig makes the gauge of a signal that is not as it was.
func (m *Machine) rig(s Signal, threshold float64) {
	g := &m.signals[s]
	if threshold == Off {
		*g = gauge{threshold: Off}
		return
	}
	if g.threshold == Off {
		*g = gauge{at: m.hi}
	}
	mean := ewma.New(m.cfg.Smoothing)
	if v, ok := g.mean.Value(); ok {
		mean.Add(g.mean.At(), v)
	}
	g.mean, g.threshold, g.clear, g.width = mean, threshold, threshold*m.cfg.ClearBelow, threshold
	if s == CPU || s == Memory {
		g.width = max(1-threshold, leastWidth)
	}
}

// observe takes what was measured.
func (m *Machine) observe(o *Observation) {
	at := m.hi.Add(-max(o.Age, 0))
	for i := range o.Readings {
		r := &o.Readings[i]
		if !r.Signal.Valid() || m.signals[r.Signal].threshold == Off {
			continue
		}
		g := &m.signals[r.Signal]
		switch {
		case r.Err != nil:
			g.failed++
			g.err = r.Err
		case !(r.Value >= 0) || math.IsInf(r.Value, 1):
			g.failed++
			g.err = errNoNumber
		case at > g.at || !g.known:
			m.measured(r.Signal, at, r.Value)
		}
	}
	m.steer(at)
	m.rearm()
}

func (m *Machine) measured(s Signal, at patterns.Instant, v float64) {
	g := &m.signals[s]
	if at.Add(m.cfg.StaleAfter) <= m.hi {
		return
	}
	if g.lost {
		g.lost, g.err = false, nil
		m.events.Put(SignalBack{Name: m.name, Signal: s, Value: v, After: m.hi.Sub(g.at), At: m.wall(m.hi)})
		m.dirty = true
	}
	if g.measure(at, v, m.cfg.RaiseAfter, m.cfg.ClearAfter) {
		m.turned(s)
	}
}

func (m *Machine) turned(s Signal) {
	g := &m.signals[s]
	mean, _ := g.mean.Value()
	m.events.Put(SignalChanged{Name: m.name, Signal: s, On: g.on, Value: mean, Threshold: g.threshold, At: m.wall(m.hi)})
	m.dirty = true
}

// expire forgets what was measured too long ago, and tells of it.
func (m *Machine) expire() {
	gone := false
	for s := range m.signals {
		g := &m.signals[s]
		if g.threshold == Off || g.lost || m.hi < g.at.Add(m.cfg.StaleAfter) {
			continue
		}
		g.lost, gone = true, true
		if g.forget() {
			m.turned(Signal(s))
		}
		if g.err == nil {
			g.err = errNoReading
		}
		m.events.Put(SignalLost{Name: m.name, Signal: Signal(s), Err: g.err, At: m.wall(m.hi)})
		m.dirty = true
	}
	if gone {
		m.steer(m.hi)
	}
}

// steer moves the share that is admitted.
func (m *Machine) steer(at patterns.Instant) {
	worst, blamed, on, known := -float64(ease), 0.0, false, false
	for s := range m.signals {
		g := &m.signals[s]
		if !g.known {
			continue
		}
		known, g.blamed = true, g.blamed || g.on
		e := g.excess(g.raw)
		if g.on && (!on || e > blamed) {
			blamed, m.control.blame = e, Signal(s)
		}
		if on = on || g.on; g.blamed || e >= 0 { // what has nothing to do with it holds nothing up
			worst = max(worst, e)
		}
	}
	step := min(max(at.Sub(m.control.at), 0), longestStep)
	m.control.at = max(m.control.at, at)
	was := m.control.admit
	m.cutoff.roll(m.hi)
	switch {
	case !known:
		m.control.admit = 1 // what nobody knows sheds nobody
	case on || was < 1:
		if !on {
			worst = min(worst, 0)
		}
		// Not below what cannot be shed anyway: it would take as long to come back.
		least := max(leastAdmit, m.cutoff.critical())
		admit := was * math.Exp(-gain*worst*step.Seconds())
		m.control.admit = min(max(admit, min(least, was)), 1)
	}
	if m.control.admit > 1-leastCut && m.control.admit > was {
		m.control.admit = 1
	}
	m.cutoff.divide(m.share())
	m.cutTo(on || m.control.admit < 1)
	if m.level.setCut(m.cutLevel(), m.inFlight, m.peak) {
		m.owe()
	}
}

// cutTo begins or ends cutting.
func (m *Machine) cutTo(cutting bool) {
	if cutting == m.control.cutting {
		return
	}
	m.control.cutting, m.dirty = cutting, true
	if cutting {
		m.epoch++
	} else {
		for s := range m.signals {
			m.signals[s].blamed = false
		}
	}
	m.calmDown()
}

// cutLevel is the level that measurements make it at least.
func (m *Machine) cutLevel() Level {
	if m.control.admit >= 1 {
		return Normal
	}
	for g := spared - 1; g >= 0; g-- {
		if m.cutoff.open[g] < 1 && m.cutoff.seen[g] > 0 {
			return min(Elevated+Level(g/2), Critical)
		}
	}
	return Elevated
}

// pressure is how far the worst signal is above its threshold, from 0 to 1.
func (m *Machine) pressure() (p float64) {
	for s := range m.signals {
		if g := &m.signals[s]; g.known {
			mean, _ := g.mean.Value()
			p = max(p, g.excess(mean))
		}
	}
	return p
}
