package actors

import (
	"container/heap"

	"github.com/bulwark-go/bulwark/patterns"
)

// deadlines is a min-heap of when permits and waiting requests expire, and when to ask
// again for the head of a line. Entries are not removed when what they watch ends
// sooner, but swept when they outnumber it.
type deadlines []deadline

// deadline names a permit, a waiting request or a line.
type deadline struct {
	at       patterns.Instant
	permit   uint64
	waiter   *call
	line     *line
	sequence uint64 // of the waiter, or the line's alarm, because both are used again
}

// names reports whether what the deadline watches is still there.
func (d *deadline) names(l *ledger) bool {
	switch {
	case d.waiter != nil:
		return d.waiter.waitSequence == d.sequence
	case d.line != nil:
		return d.line.alarmID == d.sequence
	}
	return l.find(d.permit) != nil
}

func (d deadlines) Len() int           { return len(d) }
func (d deadlines) Less(i, j int) bool { return d[i].at < d[j].at }
func (d deadlines) Swap(i, j int)      { d[i], d[j] = d[j], d[i] }
func (d *deadlines) Push(x any)        { *d = append(*d, x.(deadline)) }
func (d *deadlines) Pop() any {
	last := len(*d) - 1
	x := (*d)[last]
	(*d)[last] = deadline{}
	*d = (*d)[:last]
	return x
}

func (d *deadlines) add(x deadline) { heap.Push(d, x) }

// due removes and returns the earliest entry if its time has come.
func (d *deadlines) due(now patterns.Instant) (x deadline, ok bool) {
	if len(*d) == 0 || (*d)[0].at > now {
		return deadline{}, false
	}
	return heap.Pop(d).(deadline), true
}

// earliest is when due has something to return.
func (d deadlines) earliest() patterns.Instant {
	if len(d) == 0 {
		return patterns.Never
	}
	return d[0].at
}

// sweep drops the entries that no longer name anything once they are the majority.
func (d *deadlines) sweep(alive int, l *ledger) {
	if len(*d) < 2*alive+64 {
		return
	}
	kept := (*d)[:0]
	for _, x := range *d {
		if x.names(l) {
			kept = append(kept, x)
		}
	}
	clear((*d)[len(kept):])
	*d = kept
	heap.Init(d)
}
