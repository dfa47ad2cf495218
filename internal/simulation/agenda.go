package simulation

import "github.com/bulwark-go/bulwark/patterns"

type kind uint8

const (
	arrive kind = iota // of the next call of the open loop
	again              // a call is tried once more
	finish             // a worker is done
	leave              // a caller's deadline
	expire             // the end of a wait
	remind             // the limiter asked to be asked again
	phase              // the world changes
	wake               // the limiter asked for a Tick
)

type event struct {
	at   patterns.Instant
	seq  uint64 // breaks ties in the order of scheduling
	kind kind
	job  int32
	mark uint32 // of the job or process when scheduled: an event with an old one is void
}

func (e *event) before(o *event) bool { return e.at < o.at || e.at == o.at && e.seq < o.seq }

// agenda is a binary heap; container/heap would box every event.
type agenda struct {
	events []event
	seq    uint64
}

func (a *agenda) put(e event) {
	a.seq++
	e.seq = a.seq
	a.events = append(a.events, e)
	i := len(a.events) - 1
	for i > 0 {
		parent := (i - 1) / 2
		if !a.events[i].before(&a.events[parent]) {
			break
		}
		a.events[i], a.events[parent] = a.events[parent], a.events[i]
		i = parent
	}
}

func (a *agenda) next() event {
	first := a.events[0]
	last := len(a.events) - 1
	a.events[0] = a.events[last]
	a.events = a.events[:last]
	for i := 0; ; {
		child := 2*i + 1
		if child >= last {
			break
		}
		if child+1 < last && a.events[child+1].before(&a.events[child]) {
			child++
		}
		if !a.events[child].before(&a.events[i]) {
			break
		}
		a.events[i], a.events[child] = a.events[child], a.events[i]
		i = child
	}
	return first
}

// fifo is a queue in a slice that is reused.
type fifo[T any] struct {
	all  []T
	head int
}

func (q *fifo[T]) len() int { return len(q.all) - q.head }

func (q *fifo[T]) first() T { return q.all[q.head] }

func (q *fifo[T]) last() T { return q.all[len(q.all)-1] }

func (q *fifo[T]) put(x T) { q.all = append(q.all, x) }

func (q *fifo[T]) pop() T {
	x := q.all[q.head]
	if q.head++; q.head > 1024 && q.head*2 > len(q.all) {
		q.all = q.all[:copy(q.all, q.all[q.head:])]
		q.head = 0
	}
	return x
}

// trim drops what is void at both ends, and reports whether anything is left.
func (q *fifo[T]) trim(void func(T) bool) bool {
	for q.len() > 0 && void(q.first()) {
		q.pop()
	}
	for q.len() > 0 && void(q.last()) {
		q.all = q.all[:len(q.all)-1]
	}
	return q.len() > 0
}
