package mailbox

import (
	"sync"
	"sync/atomic"
)

// Node is a message's place in a queue. It is embedded in what is posted often, so
// that posting allocates nothing. A Node is in at most one queue at a time, and
// whoever posted it must not touch it until the mailbox handed it to its Handler.
type Node struct {
	next   *Node // the older one while on the stack, then the younger one
	value  any
	since  int64  // when it was queued, as the mailbox's clock tells
	plain  bool   // value is an ordinary message for the actor's Receive
	passes uint32 // number of the gate that lets it through, or 0
}

// Init makes n carry v. It is called once, before n is first posted.
func (n *Node) Init(v any) { n.value = v }

// Value returns what n carries.
func (n *Node) Value() any { return n.value }

// plainNodes carry the messages that bring no Node of their own.
var plainNodes = sync.Pool{New: func() any { return &Node{plain: true} }}

func plainNode(msg any) *Node {
	n := plainNodes.Get().(*Node)
	n.value = msg
	return n
}

// recycle gives a plain node back and returns the message that it carried.
func (n *Node) recycle() any {
	msg := n.value
	n.value, n.passes = nil, 0
	plainNodes.Put(n)
	return msg
}

// queue is an intrusive multi-producer single-consumer queue: producers push onto a
// stack, and the consumer takes all of it and turns it round. What was pushed can be
// popped at once. In a queue whose producers swap the tail and then link their node
// (D. Vyukov's), a producer that is preempted in between hides what others push after
// it, and their next message, run on the spot, would overtake their last. Only the
// owner of the mailbox's turn pops.
type queue struct {
	newest atomic.Pointer[Node]
	oldest *Node // taken from the stack
}

func (q *queue) push(n *Node) {
	for {
		n.next = q.newest.Load()
		if q.newest.CompareAndSwap(n.next, n) {
			return
		}
	}
}

// pop returns the oldest node, or nil if the queue is empty.
func (q *queue) pop() *Node {
	n := q.peek()
	if n != nil {
		q.oldest, n.next = n.next, nil
	}
	return n
}

// peek returns the oldest node without taking it, or nil. Only the owner peeks.
func (q *queue) peek() *Node {
	if q.oldest == nil && q.newest.Load() != nil {
		for n := q.newest.Swap(nil); n != nil; {
			older := n.next
			n.next = q.oldest
			q.oldest, n = n, older
		}
	}
	return q.oldest
}
