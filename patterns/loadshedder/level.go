package loadshedder

import (
	"fmt"
	"math"
	"time"

	"github.com/bulwark-go/bulwark/patterns"
)

// Level is how loaded a shedder is.
type Level uint8

const (
	// Normal: at most 60 % of Config.MaxInFlight calls run, and no measurement sheds anybody.
	Normal Level = iota
	// Elevated: more than 60 %, or requests of background priority are shed by measurements.
	Elevated
	// High: more than 75 %, or requests of low priority are.
	High
	// Critical: more than 90 %, or requests of normal or high priority are.
	Critical

	loadLevels
)

// A Level begins above this share of Config.MaxInFlight.
const (
	ElevatedAbove = 0.60
	HighAbove     = 0.75
	CriticalAbove = 0.90
)

// Valid reports whether l is one of the levels above.
func (l Level) Valid() bool { return l < loadLevels }

func (l Level) String() string {
	switch l {
	case Normal:
		return "normal"
	case Elevated:
		return "elevated"
	case High:
		return "high"
	case Critical:
		return "critical"
	}
	return fmt.Sprintf("level(%d)", uint8(l))
}

// marks are how many may be in flight at most for each level below Critical.
type marks [Critical]int

// marksOf returns the marks of limit, at a share of their own: integers decide, so that
// exactly 60 % is still Normal.
func marksOf(limit int, share float64) (m marks) {
	for i, percent := range [...]int{60, 75, 90} {
		m[i] = limit * percent / 100
		if share < 1 {
			m[i] = int(float64(m[i]) * share)
		}
	}
	return m
}

func (m *marks) level(n int) Level {
	for l, most := range m {
		if n <= most {
			return Level(l)
		}
	}
	return Critical
}

// levelWatch announces a new Level once it has held for long enough. To know that it has
// held it keeps the least that was in flight, and the most, while the level is another than
// the one announced: so that calls need to compare two numbers, and no clock.
type levelWatch struct {
	said  Level // the one announced last
	above marks // where levels begin
	clear marks // where they end
	cut   Level // that measurements make it at least

	rise, fall span
	// high and low are what calls compare with: beyond them something is to be noted.
	high, low int
	look      patterns.Instant // when to see what has held; Never if the level is the announced one
	begins    bool             // to look, as soon as the time is known
}

// span is the time in which n was the least, or the most, that was in flight, and cut that
// of the levels that measurements made it.
type span struct {
	n     int
	cut   Level
	since patterns.Instant
}

// up is the most that may be in flight in the level that was announced, and down the
// least but one.
func (w *levelWatch) up() int {
	if w.said == Critical {
		return math.MaxInt
	}
	return w.above[w.said]
}

func (w *levelWatch) down() int {
	if w.said == Normal {
		return -1
	}
	return w.clear[w.said-1]
}

// moved notes that what is in flight went beyond high or low, and reports whether the time
// is needed: to begin to look.
func (w *levelWatch) moved(n, peak int) (begins bool) {
	w.rise.n, w.fall.n = min(w.rise.n, n), max(w.fall.n, n)
	if w.look == patterns.Never && !w.begins && w.differs(n) {
		w.begins, begins = true, true
	}
	w.arm(n, peak)
	return begins
}

// differs reports whether the level is not the one announced.
func (w *levelWatch) differs(n int) bool {
	return n > w.up() || w.cut > w.said || n <= w.down() && w.cut < w.said
}

func (w *levelWatch) arm(n, peak int) {
	switch {
	case w.look != patterns.Never:
		w.high, w.low = min(w.fall.n, peak), w.rise.n
	case w.begins:
		w.high, w.low = peak, 0
	default:
		w.high, w.low = min(peak, w.up()), w.down()+1
		if n < w.low { // but measurements hold the level
			w.low = 0
		}
	}
}

// begin begins to look.
func (w *levelWatch) begin(n, peak int, now patterns.Instant, every time.Duration) {
	w.rise = span{n, w.cut, now}
	w.fall = w.rise
	w.look, w.begins = now.Add(every), false
	w.arm(n, peak)
}

// see returns the level that has held for raise, or for lower if it is a lower one; the one
// announced if none has.
func (w *levelWatch) see(n, peak int, now patterns.Instant, raise, lower time.Duration) Level {
	fresh := span{n, w.cut, now}
	switch risen := max(w.above.level(w.rise.n), w.rise.cut); {
	case risen <= w.said:
		w.rise = fresh
	case now.Sub(w.rise.since) >= raise:
		w.said, w.rise, w.fall = risen, fresh, fresh
	}
	switch fallen := max(w.clear.level(w.fall.n), w.fall.cut); {
	case fallen >= w.said:
		w.fall = fresh
	case now.Sub(w.fall.since) >= lower:
		w.said, w.rise, w.fall = fallen, fresh, fresh
	}
	w.look = patterns.Never
	if w.differs(n) {
		w.look = now.Add(min(raise, lower))
	}
	w.arm(n, peak)
	return w.said
}

// setCut is told what measurements make of the level, and reports as moved does.
func (w *levelWatch) setCut(cut Level, n, peak int) (begins bool) {
	w.cut = cut
	w.rise.cut, w.fall.cut = min(w.rise.cut, cut), max(w.fall.cut, cut)
	return w.moved(n, peak)
}

// now is the level at this moment.
func (w *levelWatch) now(n int) Level { return max(w.above.level(n), w.cut) }
