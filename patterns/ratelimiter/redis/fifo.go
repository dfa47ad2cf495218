package redislimiter

import "slices"

// fifo is a queue, the first that came first.
type fifo[T any] struct {
	items []T // of which those before next were popped
	next  int
}

func (q *fifo[T]) len() int { return len(q.items) - q.next }

func (q *fifo[T]) push(one T) { q.items = append(q.items, one) }

// pop takes the first. There must be one.
func (q *fifo[T]) pop() T {
	one := q.items[q.next]
	if q.next++; q.next > len(q.items)/2 { // each is moved once at most
		q.items = slices.Delete(q.items, 0, q.next)
		q.next = 0
	}
	return one
}

// drop takes all that are so.
func (q *fifo[T]) drop(so func(T) bool) {
	q.items = slices.DeleteFunc(slices.Delete(q.items, 0, q.next), so)
	q.next = 0
}
