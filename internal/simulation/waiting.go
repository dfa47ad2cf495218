package simulation

import (
	"math"

	"github.com/bulwark-go/bulwark/patterns"
)

// waiters are the callers in front of the limiter: a line for each level and class, of
// which those who left are dropped when an end reaches them.
type waiters struct {
	tickets  uint32
	lines    []fifo[ticket]
	turns    []uint64 // of each class, when its last turn was
	turn     uint64
	count    int
	counts   [levels]int
	reminder patterns.Instant
}

// ticket is a place in the queue, void if its job has another one or none.
type ticket struct {
	job    int32
	number uint32
}

func (w *world) void(t ticket) bool { return w.jobs[t.job].ticket != t.number }

func (w *world) ofJob(i int32) patterns.Request {
	j := &w.jobs[i]
	c := w.Classes[j.class]
	r := patterns.Request{Key: c.Key, Priority: c.Priority, Deadline: j.asked + patterns.Instant(w.Service.Deadline)}
	if j.waiting {
		r.Asked = max(j.asked, 1)
	}
	return r
}

func (w *world) order() patterns.Order {
	if w.queuer == nil {
		return patterns.FIFO
	}
	return w.queuer.Order()
}

// ahead reports whether somebody waits whom a newcomer must not overtake.
func (w *world) ahead(level int) bool {
	if w.order() == patterns.LIFO {
		level++
	}
	for ; level < levels; level++ {
		if w.waiters.counts[level] > 0 {
			return true
		}
	}
	return false
}

// join has a caller wait, if the limiter lets it.
func (w *world) join(i int32) {
	j := &w.jobs[i]
	ws := &w.waiters
	until, refused := patterns.Never, ws.count >= w.MaxWaiting
	if w.queuer != nil {
		w.request = w.ofJob(i)
		q := patterns.Queue{Waiting: ws.count, Total: ws.count, Oldest: patterns.Never}
		for l := w.level(j); l < levels; l++ {
			q.Ahead += ws.counts[l]
		}
		var err error
		until, _, err = w.queuer.Join(w.now, &w.request, q)
		refused = err != nil
	}
	if refused {
		w.refused(i)
		return
	}
	j.waiting = true
	ws.count++
	ws.counts[w.level(j)]++
	ws.tickets++
	j.ticket = ws.tickets
	ws.lines[w.level(j)*len(w.Classes)+int(j.class)].put(ticket{i, j.ticket})
	w.scheduleLeave(i)
	if until != patterns.Never {
		w.agenda.put(event{at: until, kind: expire, job: i, mark: j.mark})
	}
	w.remind()
}

// remind has the head asked for again when the limiter says.
func (w *world) remind() {
	if w.queuer == nil {
		return
	}
	if at := w.queuer.Again(); at != patterns.Never && at != w.waiters.reminder {
		w.waiters.reminder = max(at, w.now+1)
		w.agenda.put(event{at: w.waiters.reminder, kind: remind})
	}
}

// stepOut takes a caller out of the queue.
func (w *world) stepOut(i int32) {
	j := &w.jobs[i]
	j.waiting, j.ticket = false, 0
	j.mark++
	w.waiters.count--
	w.waiters.counts[w.level(j)]--
}

func (w *world) expired(i int32) {
	w.request = w.ofJob(i)
	_, _ = w.queuer.Expired(w.now, &w.request)
	w.stepOut(i)
	w.refused(i)
	w.pump()
}

// head is whose turn is next, and -1 if nobody waits.
func (w *world) head() int32 {
	order := w.order()
	for l := levels - 1; l >= 0; l-- {
		best, rank := int32(-1), uint64(math.MaxUint64)
		for c := range w.Classes {
			q := &w.waiters.lines[l*len(w.Classes)+c]
			if w.waiters.counts[l] == 0 || !q.trim(w.void) {
				continue
			}
			i := q.first().job
			mine := uint64(w.jobs[i].asked)
			switch order {
			case patterns.LIFO:
				i = q.last().job
				mine = math.MaxUint64 - 1 - uint64(w.jobs[i].asked)
			case patterns.Fair:
				mine = w.waiters.turns[c]
			}
			if mine < rank {
				best, rank = i, mine
			}
		}
		if best >= 0 {
			return best
		}
	}
	return -1
}

// pump serves those who wait as long as the limiter lets it.
func (w *world) pump() {
	for w.waiters.count > 0 {
		i := w.head()
		v := w.ask(i)
		if v == patterns.Wait {
			w.remind()
			return
		}
		w.stepOut(i)
		w.waiters.turn++
		w.waiters.turns[w.jobs[i].class] = w.waiters.turn
		if v == patterns.Grant {
			w.enter(i)
		} else {
			w.refused(i)
		}
	}
}
