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
