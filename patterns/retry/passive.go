package retry

import (
	"time"

	"github.com/bulwark-go/bulwark/patterns"
)

// passive is what there is of the permit protocol in a machine that gives no permits.
type passive struct{ refusal error }

// Acquire refuses.
func (p passive) Acquire(patterns.Instant, uint64, *patterns.Request) patterns.Decision {
	return patterns.Decision{Err: p.refusal}
}

// Report counts nothing: there are no permits.
func (passive) Report(patterns.Instant, patterns.PermitID, patterns.Outcome, time.Duration) (counted, dirty bool) {
	return false, false
}

// Release does nothing: there are no permits.
func (passive) Release(patterns.Instant, patterns.PermitID) (dirty bool) { return false }

// Epoch is always 1: there are no permits that could become stale.
func (passive) Epoch() uint64 { return 1 }

// Timeless is false.
func (passive) Timeless() bool { return false }

// Measured is false.
func (passive) Measured() bool { return false }

// Refusal is never known in advance: whoever asks is refused.
func (passive) Refusal() (err error, until patterns.Instant, ok bool) { return nil, 0, false }

// announceEvery is how often the same thing is announced at most.
const announceEvery = time.Second

// limited is something that happens too often to be announced each time.
type limited struct {
	next    patterns.Instant // when it may be announced again
	pending int              // how often it happened since it was
}

// happened counts it. due is as in due.
func (l *limited) happened(now patterns.Instant) (n int, due bool) {
	l.pending++
	return l.due(now)
}

// due reports whether it is time to announce that it happened n times.
func (l *limited) due(now patterns.Instant) (n int, due bool) {
	if l.pending == 0 || now < l.next {
		return 0, false
	}
	n, l.pending, l.next = l.pending, 0, now.Add(announceEvery)
	return n, true
}

// wake is when it will be.
func (l *limited) wake() patterns.Instant {
	if l.pending == 0 {
		return patterns.Never
	}
	return l.next
}
