package quantile

import (
	"errors"
	"time"

	"github.com/bulwark-go/bulwark/patterns"
)

// Recent counts the durations of the last while, in slots of one width each, the current
// one included: it covers more than all but one of them, and at most all. Each slot is a
// Histogram, and takes 3.3 KB. Time never runs backwards in it. Make one with NewRecent.
type Recent struct {
	slots []Histogram
	width time.Duration
	head  int              // the newest slot
	end   patterns.Instant // of the newest slot
	begun bool             // end means something
	count uint64

	// Where the last quantile was found: the next is not far.
	at    int
	below uint64 // how many are in buckets before at
}

// NewRecent returns an empty Recent that covers span in so many slots; span is at least 1,
// and slots at least 2.
func NewRecent(span time.Duration, slots int) Recent {
	return Recent{slots: make([]Histogram, slots), width: (span-1)/time.Duration(slots) + 1}
}

// Add counts d at now.
func (r *Recent) Add(now patterns.Instant, d time.Duration) {
	r.advance(now)
	i := bucket(d)
	if !r.slots[r.head].add(i) {
		return
	}
	if r.count++; i < r.at {
		r.below++
	}
}

// Count is how many durations there are at now.
func (r *Recent) Count(now patterns.Instant) uint64 {
	r.advance(now)
	return r.count
}

// Quantile is Histogram's for what there is at now. Asking for the same one again is cheap.
func (r *Recent) Quantile(now patterns.Instant, q float64) (d time.Duration, ok bool) {
	if r.advance(now); r.count == 0 {
		return 0, false
	}
	rank := nearestRank(q, r.count)
	for r.below >= rank {
		r.at--
		r.below -= r.in(r.at)
	}
	for {
		n := r.in(r.at)
		if r.below+n >= rank {
			return middle(r.at), true
		}
		r.below += n
		r.at++
	}
}

// MergeInto adds what there is at now to h.
func (r *Recent) MergeInto(now patterns.Instant, h *Histogram) {
	r.advance(now)
	for i := range r.slots {
		h.Merge(&r.slots[i])
	}
}

// Reset forgets all.
func (r *Recent) Reset() {
	clear(r.slots)
	*r = Recent{slots: r.slots, width: r.width}
}

// Resized returns a Recent over span in so many slots that holds what r holds at now, as if
// all of it came then.
func (r *Recent) Resized(now patterns.Instant, span time.Duration, slots int) Recent {
	out := NewRecent(span, slots)
	out.advance(now)
	r.MergeInto(now, &out.slots[0])
	out.count = out.slots[0].count
	return out
}

// Check returns an error if the counts do not add up.
func (r *Recent) Check() error {
	if len(r.slots) < 2 || r.width < 1 || r.head < 0 || r.head >= len(r.slots) || r.at < 0 || r.at >= buckets {
		return errors.New("quantile: slots out of shape")
	}
	count, below := uint64(0), uint64(0)
	for i := range r.slots {
		if err := r.slots[i].Check(); err != nil {
			return err
		}
		count += r.slots[i].count
	}
	for i := range r.at {
		below += r.in(i)
	}
	if count != r.count || below != r.below {
		return errors.New("quantile: the slots do not add up")
	}
	return nil
}

// in is how many durations are in a bucket.
func (r *Recent) in(bucket int) (n uint64) {
	for i := range r.slots {
		n += uint64(r.slots[i].cells[bucket])
	}
	return n
}

// advance makes the slot of now the newest, and empties those which that takes the place
// of. It never takes more than one round, however long nobody came.
func (r *Recent) advance(now patterns.Instant) {
	if now < r.end && r.begun || r.end == patterns.Never {
		return
	}
	if !r.begun {
		r.begun, r.end = true, now.Add(r.width)
		return
	}
	passed := now.Sub(r.end)/r.width + 1
	for range min(passed, time.Duration(len(r.slots))) {
		r.head = (r.head + 1) % len(r.slots)
		r.expire(&r.slots[r.head])
	}
	r.end = r.end.Add((passed - 1) * r.width).Add(r.width)
}

func (r *Recent) expire(h *Histogram) {
	if h.count == 0 {
		return
	}
	for _, n := range h.cells[:r.at] {
		r.below -= uint64(n)
	}
	r.count -= h.count
	h.Reset()
}
