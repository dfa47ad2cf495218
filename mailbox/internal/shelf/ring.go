package shelf

// leastRing is how many places a ring that holds anything has at least.
const leastRing = 16

// ring is a queue with two ends. It grows by doubling, and shrinks once three quarters of
// it are empty, so that a burst leaves nothing behind.
type ring[T any] struct {
	places []T // a power of two of them
	first  int
	size   int
}

func (r *ring[T]) len() int { return r.size }

// at returns the place of the i-th.
func (r *ring[T]) at(i int) *T { return &r.places[(r.first+i)&(len(r.places)-1)] }

func (r *ring[T]) front() *T { return r.at(0) }

func (r *ring[T]) pushBack(v T) {
	if r.size == len(r.places) {
		r.resize(max(leastRing, 2*len(r.places)))
	}
	r.size++
	*r.at(r.size - 1) = v
}

func (r *ring[T]) popFront() T {
	var none T
	v := *r.front()
	*r.front() = none
	r.first = (r.first + 1) & (len(r.places) - 1)
	r.size--
	r.shrink()
	return v
}

func (r *ring[T]) popBack() T {
	var none T
	last := r.at(r.size - 1)
	v := *last
	*last = none
	r.size--
	r.shrink()
	return v
}

func (r *ring[T]) shrink() {
	if n := len(r.places); n > leastRing && r.size <= n/4 {
		r.resize(n / 2)
	}
}

func (r *ring[T]) resize(n int) {
	places := make([]T, n)
	for i := range r.size {
		places[i] = *r.at(i)
	}
	r.places, r.first = places, 0
}
