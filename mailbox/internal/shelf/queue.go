package shelf

// Pool keeps what is not used at the moment, for others: a sync.Pool. nil keeps nothing.
type Pool interface {
	Get() any
	Put(x any)
}

// perChunk is how many places a chunk has.
const perChunk = 32

// chunk is a piece of a queue.
type chunk[T any] struct {
	prev, next *chunk[T]
	places     [perChunk]T
}

// queue is a queue with two ends. Its memory grows and shrinks with it, so that a burst
// leaves nothing behind.
type queue[T any] struct {
	pool        Pool
	first, last *chunk[T]
	from, to    int // of the first chunk, and up to which of the last
	size        int
}

func (q *queue[T]) len() int { return q.size }

func (q *queue[T]) front() *T { return &q.first.places[q.from] }

func (q *queue[T]) pushBack(v T) {
	switch {
	case q.last == nil:
		q.last = q.fresh()
		q.first, q.from, q.to = q.last, 0, 0
	case q.to == perChunk:
		c := q.fresh()
		c.prev, q.last.next = q.last, c
		q.last, q.to = c, 0
	}
	q.last.places[q.to] = v
	q.to++
	q.size++
}

func (q *queue[T]) popFront() T {
	var none T
	place := q.front()
	v := *place
	*place = none
	q.from++
	q.size--
	switch {
	case q.size == 0:
		q.empty()
	case q.from == perChunk:
		c := q.first
		q.first, q.from = c.next, 0
		q.first.prev = nil
		q.release(c)
	}
	return v
}

func (q *queue[T]) popBack() T {
	var none T
	q.to--
	place := &q.last.places[q.to]
	v := *place
	*place = none
	q.size--
	switch {
	case q.size == 0:
		q.empty()
	case q.to == 0:
		c := q.last
		q.last, q.to = c.prev, perChunk
		q.last.next = nil
		q.release(c)
	}
	return v
}

// empty keeps no chunk.
func (q *queue[T]) empty() {
	c := q.first
	q.first, q.last, q.from, q.to = nil, nil, 0, 0
	q.release(c)
}

func (q *queue[T]) fresh() *chunk[T] {
	if q.pool != nil {
		if c, ok := q.pool.Get().(*chunk[T]); ok {
			return c
		}
	}
	return new(chunk[T])
}

func (q *queue[T]) release(c *chunk[T]) {
	if c.prev, c.next = nil, nil; q.pool != nil {
		q.pool.Put(c)
	}
}
