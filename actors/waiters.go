package actors

import "github.com/bulwark-go/bulwark/patterns"

// levels is the number of priorities.
const levels = int(patterns.Critical-patterns.Background) + 1

// waiters are the requests that wait for capacity: the highest priority first, and
// in each priority the oldest first.
type waiters struct {
	lists [levels]waitList
	count int
	limit int
}

// waitList is a doubly linked list through the calls themselves.
type waitList struct{ first, last *call }

func level(p patterns.Priority) int { return int(p - patterns.Background) }

// add queues c. It returns false if as many wait as may.
func (w *waiters) add(c *call) bool {
	if w.count >= w.limit {
		return false
	}
	l := &w.lists[level(c.request.Priority)]
	c.queue, c.prev, c.next = l, l.last, nil
	if l.last != nil {
		l.last.next = c
	} else {
		l.first = c
	}
	l.last = c
	w.count++
	return true
}

// remove takes c out, wherever it stands. It returns false if c does not wait.
func (w *waiters) remove(c *call) bool {
	l := c.queue
	if l == nil {
		return false
	}
	if c.prev != nil {
		c.prev.next = c.next
	} else {
		l.first = c.next
	}
	if c.next != nil {
		c.next.prev = c.prev
	} else {
		l.last = c.prev
	}
	c.queue, c.prev, c.next = nil, nil, nil
	w.count--
	return true
}

// head returns the request whose turn is next, or nil.
func (w *waiters) head() *call {
	for i := levels - 1; i >= 0; i-- {
		if c := w.lists[i].first; c != nil {
			return c
		}
	}
	return nil
}

// ahead reports whether somebody waits whom a newcomer of priority p must not overtake.
func (w *waiters) ahead(p patterns.Priority) bool {
	if w.count == 0 {
		return false
	}
	for i := levels - 1; i >= level(p); i-- {
		if w.lists[i].first != nil {
			return true
		}
	}
	return false
}

// enqueue makes c wait for capacity.
func (s *shell) enqueue(c *call) {
	if c.sender == nil && c.state.Load() == abandoned {
		s.counts.Cancelled++
		return
	}
	if !s.waiters.add(c) {
		s.dismiss(c.holder)
		s.refuse(c, &s.refusals().queueFull)
		return
	}
	s.sequence++
	c.waitSequence = s.sequence
	if c.holder != nil {
		c.holder.waiting[c] = struct{}{}
	}
	if c.waitsBy != 0 && c.waitsBy != patterns.Never {
		s.deadlines.add(deadline{at: c.waitsBy, waiter: c, sequence: c.waitSequence})
		s.arm()
	}
}

// pump serves those who wait as long as the rules let it.
func (s *shell) pump() {
	for c := s.waiters.head(); c != nil; c = s.waiters.head() {
		if c.sender == nil && c.state.Load() == abandoned {
			s.withdraw(c, nil)
			continue
		}
		s.serving = c
		d := s.decide(&c.request)
		if d.Verdict == patterns.Wait {
			s.serving = nil
			return
		}
		s.leaveQueue(c)
		if d.Verdict == patterns.Grant {
			s.handOut(c)
		} else {
			s.serving = nil
			s.refuse(c, d.Err)
			s.dismiss(c.holder)
		}
	}
}

func (s *shell) leaveQueue(c *call) bool {
	if !s.waiters.remove(c) {
		return false
	}
	c.waitSequence = 0
	if c.holder != nil {
		delete(c.holder.waiting, c)
	}
	return true
}

// withdraw takes c out of the queue: its requester left (err is nil), or is to be
// told why.
func (s *shell) withdraw(c *call, err error) {
	if !s.leaveQueue(c) {
		return
	}
	if err == nil {
		s.counts.Cancelled++
	} else {
		s.refuse(c, err)
	}
	s.dismiss(c.holder)
	s.pump() // whoever stood behind a heavy one may fit
}
