package rules

import (
	"container/heap"
	"container/list"

	"github.com/bulwark-go/bulwark/patterns"
	"github.com/bulwark-go/bulwark/patterns/circuitbreaker"
	"github.com/bulwark-go/bulwark/supervisor/backoff"
	"github.com/bulwark-go/bulwark/supervisor/intensity"
)

// none is the index of what is in no heap.
const none = -1

// child is what is known of one child.
type child struct {
	id         ID
	kind       RestartType
	prev, next *child // in spawn order
	number     uint64 // grows in spawn order

	state State
	cause Cause
	since patterns.Instant

	down     bool   // it must be restarted, or spawned, before it runs again
	blocking bool   // down, and keeps itself and whom it takes along from being restarted
	absent   bool   // it has stopped
	gated    bool   // its mailbox has a gate
	shut     bool   // and that is shut, or ajar
	order    uint64 // when it went down, among all
	barrier  uint64 // a Settle effect after which its failures count again

	due   patterns.Instant // when its state ends by itself
	slot  int              // in Machine.due
	place int              // in Machine.queue or group.members

	retries *backoff.Machine
	tripped *intensity.Machine
	parked  *intensity.Machine
	circuit *circuitbreaker.Machine
	permit  patterns.PermitID // of the probe that it is
	probing bool              // it is one, or will be once it is restarted
	probe   uint64            // number of its latest Probe effect
	joined  bool              // it waits for the group's circuit

	failed *list.Element    // in group.failed
	last   patterns.Instant // latest failure, if that is not nil

	failures, restarts uint64
}

// family is the children in spawn order.
type family struct {
	first, last *child
	byID        map[ID]*child
	numbers     uint64
}

func (f *family) get(id ID) *child { return f.byID[id] }

func (f *family) add(c *child) {
	if f.byID == nil {
		f.byID = make(map[ID]*child)
	}
	f.numbers++
	c.number = f.numbers
	f.byID[c.id] = c
	if c.prev = f.last; c.prev == nil {
		f.first = c
	} else {
		c.prev.next = c
	}
	f.last = c
}

func (f *family) remove(c *child) {
	delete(f.byID, c.id)
	if c.prev == nil {
		f.first = c.next
	} else {
		c.prev.next = c.next
	}
	if c.next == nil {
		f.last = c.prev
	} else {
		c.next.prev = c.prev
	}
	c.prev, c.next = nil, nil
}

// byDue is a heap of children, the earliest due first.
type byDue []*child

func (h byDue) Len() int { return len(h) }
func (h byDue) Less(i, j int) bool {
	return h[i].due < h[j].due || h[i].due == h[j].due && h[i].order < h[j].order
}
func (h byDue) Swap(i, j int) { h[i], h[j] = h[j], h[i]; h[i].slot, h[j].slot = i, j }

// Push implements heap.Interface.
func (h *byDue) Push(x any) { c := x.(*child); c.slot = len(*h); *h = append(*h, c) }

// Pop implements heap.Interface.
func (h *byDue) Pop() any {
	last := len(*h) - 1
	c := (*h)[last]
	(*h)[last], c.slot = nil, none
	*h = (*h)[:last]
	return c
}

// byOrder is a heap of children, the longest down first.
type byOrder []*child

func (h byOrder) Len() int           { return len(h) }
func (h byOrder) Less(i, j int) bool { return h[i].order < h[j].order }
func (h byOrder) Swap(i, j int)      { h[i], h[j] = h[j], h[i]; h[i].place, h[j].place = i, j }

// Push implements heap.Interface.
func (h *byOrder) Push(x any) { c := x.(*child); c.place = len(*h); *h = append(*h, c) }

// Pop implements heap.Interface.
func (h *byOrder) Pop() any {
	last := len(*h) - 1
	c := (*h)[last]
	(*h)[last], c.place = nil, none
	*h = (*h)[:last]
	return c
}

// schedule makes the state of c end at that instant.
func (m *Machine) schedule(c *child, at patterns.Instant) {
	m.unschedule(c)
	if at != patterns.Never {
		c.due = at
		heap.Push(&m.due, c)
	}
}

func (m *Machine) unschedule(c *child) {
	if c.slot != none {
		heap.Remove(&m.due, c.slot)
	}
	c.due = patterns.Never
}

// become changes the state of c; nothing else does.
func (m *Machine) become(c *child, to State, cause Cause, until patterns.Instant) {
	m.effect(Effect{Do: DoChanged, Child: c.id, From: c.state, To: to, Cause: cause, Until: until})
	c.state, c.cause, c.since = to, cause, m.hi
}
