package mailbox

import (
	"sync"
	"sync/atomic"
)

// Node is a message's place in a queue. It is embedded in what is posted often, so
// that posting allocates nothing. A Node is in at most one queue at a time, and
// whoever posted it must not touch it until the mailbox handed it to its Handler.
type Node struct {
	next  atomic.Pointer[Node]
	value any
	since int64 // when it was queued, as the mailbox's clock tells
	plain bool  // value is an ordinary message for the actor's Receive
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
	n.value = nil
	plainNodes.Put(n)
	return msg
}

// queue is an intrusive multi-producer single-consumer queue (D. Vyukov). Only the
// owner of the mailbox's turn pops.
type queue struct {
	head atomic.Pointer[Node] // producers' end
	_    [cacheLine - 8]byte
	tail *Node // consumer's end
	stub Node
}

func (q *queue) init() {
	q.head.Store(&q.stub)
	q.tail = &q.stub
}

func (q *queue) push(n *Node) {
	n.next.Store(nil)
	q.head.Swap(n).next.Store(n)
}

// pop returns the oldest node, or nil if the queue is empty or the oldest push is
// half way. In the second case its producer will announce itself when done, so
// nil is never a reason to wait.
func (q *queue) pop() *Node {
	tail := q.tail
	next := tail.next.Load()
	if tail == &q.stub {
		if next == nil {
			return nil
		}
		q.tail, tail = next, next
		next = tail.next.Load()
	}
	if next == nil {
		if tail != q.head.Load() {
			return nil
		}
		q.push(&q.stub) // tail is the last node: something must follow it
		if next = tail.next.Load(); next == nil {
			return nil
		}
	}
	q.tail = next
	return tail
}

// peek returns the oldest node without taking it, or nil.
func (q *queue) peek() *Node {
	if q.tail == &q.stub {
		return q.tail.next.Load()
	}
	return q.tail
}
