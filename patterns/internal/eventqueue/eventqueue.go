// Package eventqueue holds the events of a Machine that its host has not drained yet.
package eventqueue

import (
	"iter"
	"log/slog"
	"time"

	"github.com/bulwark-go/bulwark/patterns"
)

// Max is how many events wait for a Drain at most.
const Max = 16

// Queue holds the newest Max events. The zero Queue is empty. It takes no memory for events until the first.
type Queue struct {
	ring *[Max]patterns.Event
	next int // the cell to read
	n    int
	lost uint64
}

// Put adds an event, and drops the oldest if there is no room.
func (q *Queue) Put(e patterns.Event) {
	if q.ring == nil {
		q.ring = new([Max]patterns.Event)
	}
	if q.n == Max {
		q.next = (q.next + 1) % Max
		q.n--
		q.lost++
	}
	q.ring[(q.next+q.n)%Max] = e
	q.n++
}

// Lost is how many events were dropped.
func (q *Queue) Lost() uint64 { return q.lost }

// Drain yields and removes, oldest first, until the consumer stops.
func (q *Queue) Drain() iter.Seq[patterns.Event] {
	return func(yield func(patterns.Event) bool) {
		for q.n > 0 {
			e := q.ring[q.next]
			q.ring[q.next] = nil
			q.next = (q.next + 1) % Max
			q.n--
			if !yield(e) {
				return
			}
		}
	}
}

// Group is the LogValue of an event of that name, about a guard.
func Group(event, guard string, at time.Time, more ...slog.Attr) slog.Value {
	attrs := make([]slog.Attr, 0, len(more)+3)
	attrs = append(attrs, slog.String("event", event), slog.String("guard", guard))
	attrs = append(attrs, more...)
	return slog.GroupValue(append(attrs, slog.Time("at", at))...)
}
