package circuitbreaker

import (
	"cmp"
	"fmt"
	"time"

	"github.com/bulwark-go/bulwark/patterns"
	"github.com/bulwark-go/bulwark/patterns/internal/window"
)

// Window says which results are recent. Make one with Last or During; the zero
// value is the default of Config.Window. Windows can be compared.
type Window struct {
	kind     windowKind
	size     int
	span     time.Duration
	bucketed bool
	buckets  int
}

type windowKind uint8

const (
	byDefault windowKind = iota
	byCount
	byTime
)

// Last is a Window of the last n results, 1 to 16,777,216, however old. It costs a
// quarter of a byte per result.
func Last(n int) Window { return Window{kind: byCount, size: n} }

// During is a Window of the results of the last d, counted in 10 buckets: results
// leave it a tenth of d at a time, at most that much early and never late.
func During(d time.Duration) Window { return Window{kind: byTime, span: d} }

// Buckets returns w, which During made, with m buckets, 1 to 1,000, instead of 10.
func (w Window) Buckets(m int) Window {
	w.bucketed, w.buckets = true, m
	return w
}

// String returns the expression that makes w.
func (w Window) String() string {
	s := "default"
	switch w.kind {
	case byCount:
		s = fmt.Sprintf("Last(%d)", w.size)
	case byTime:
		s = fmt.Sprintf("During(%v)", w.span)
	}
	if w.bucketed {
		s += fmt.Sprintf(".Buckets(%d)", w.buckets)
	}
	return s
}

func (w Window) withDefaults() Window {
	if w.kind == byDefault {
		w.kind, w.size = byCount, 100
	}
	if w.kind == byTime && !w.bucketed {
		w.buckets = cmp.Or(w.buckets, defaultBuckets)
	}
	return w
}

// recent holds what a Window says. It is two structs and not an interface, because
// it is on the way of every call.
type recent struct {
	ring    window.Ring
	timed   bool
	none    bool // nothing is kept, because nothing looks at it
	buckets window.Buckets
}

func newRecent(w Window) recent {
	switch w.kind {
	case byTime:
		return recent{timed: true, buckets: window.NewBuckets(w.span, w.buckets)}
	case byCount:
		return recent{ring: window.NewRing(w.size)}
	}
	return recent{none: true}
}

func (r *recent) addOne(now patterns.Instant, failed, slow bool) {
	switch {
	case r.none:
	case r.timed:
		r.buckets.Add(now, 1, failed, slow)
	default:
		r.ring.Add(failed, slow)
	}
}

func (r *recent) add(now patterns.Instant, n int, failed, slow bool) {
	switch {
	case r.none:
	case r.timed:
		r.buckets.Add(now, n, failed, slow)
	default:
		r.ring.AddN(n, failed, slow)
	}
}

func (r *recent) counts(now patterns.Instant) window.Counts {
	if r.timed {
		return r.buckets.Counts(now)
	}
	return r.ring.Counts()
}

func (r *recent) reset() {
	switch {
	case r.none:
	case r.timed:
		r.buckets.Reset()
	default:
		r.ring.Reset()
	}
}

// resized returns r with the shape of w and as much of what r holds as fits. Counts
// have no time and times no order, so that going from one kind to the other starts
// empty.
func (r *recent) resized(now patterns.Instant, w Window) recent {
	switch {
	case r.timed && w.kind == byTime:
		return recent{timed: true, buckets: r.buckets.Resized(now, w.span, w.buckets)}
	case !r.timed && !r.none && w.kind == byCount:
		return recent{ring: r.ring.Resized(w.size)}
	}
	return newRecent(w)
}

func (r *recent) check() error {
	if r.none {
		return nil
	}
	if r.timed {
		return r.buckets.Check()
	}
	return r.ring.Check()
}
