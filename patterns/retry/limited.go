package retry

import (
	"time"

	"github.com/bulwark-go/bulwark/patterns"
)

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
