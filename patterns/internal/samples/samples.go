// Package samples gathers how long calls took: a message for each would cost more than the
// policy that wants to know.
package samples

import "time"

const (
	// Size is how many there are in a Batch at most, and patience how long those that there
	// are wait for more: until the next one after that.
	Size     = 32
	patience = time.Second
)

// Batch is some of them. Whoever has told of one does not touch it again.
type Batch struct {
	n     int
	since time.Time // when the first came
	took  [Size]time.Duration
}

// Of returns a Batch of those.
func Of(took ...time.Duration) *Batch {
	b := new(Batch)
	b.n = copy(b.took[:], took)
	return b
}

// Add puts one more in, and reports whether it is time to tell of them.
func (b *Batch) Add(now time.Time, took time.Duration) (due bool) {
	if b.n == 0 {
		b.since = now
	}
	b.took[b.n] = took
	b.n++
	return b.n == Size || now.Sub(b.since) >= patience
}

// All returns them.
func (b *Batch) All() []time.Duration { return b.took[:b.n] }
