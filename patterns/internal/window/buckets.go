package window

import (
	"errors"
	"fmt"
	"time"

	"github.com/bulwark-go/bulwark/patterns"
)

// Buckets holds the results of the last while, in m buckets of one width each, the
// current partial one included: it covers more than m-1 widths and at most m. Time
// never runs backwards in it. Make one with NewBuckets.
type Buckets struct {
	cells   []Counts
	width   int64
	head    int64 // index of the newest bucket: floor(now/width)
	started bool  // head means something
	total   Counts
}

// NewBuckets returns empty Buckets that cover span in m parts; span and m are at
// least 1. The width of a part is rounded up to whole nanoseconds.
func NewBuckets(span time.Duration, m int) Buckets {
	width := (int64(span)-1)/int64(m) + 1
	return Buckets{cells: make([]Counts, m), width: width}
}

// Counts returns what is held at now.
func (b *Buckets) Counts(now patterns.Instant) Counts {
	b.advance(now)
	return b.total
}

// Add records n results of one kind at now.
func (b *Buckets) Add(now patterns.Instant, n int, failed, slow bool) {
	b.advance(now)
	b.put(b.head, of(uint64(max(n, 0)), failed, slow))
}

// Reset forgets everything.
func (b *Buckets) Reset() {
	clear(b.cells)
	b.total, b.started = Counts{}, false
}

// Resized returns Buckets over span in m parts that hold, at now, what is held in
// b. Where the widths differ, results count as if they came at the last instant of
// their old bucket.
func (b *Buckets) Resized(now patterns.Instant, span time.Duration, m int) Buckets {
	out := NewBuckets(span, m)
	b.advance(now)
	out.advance(now)
	for i := range int64(len(b.cells)) {
		at := b.head - i
		// The newest bucket ends now; the end of an older one is before now.
		end := out.head
		if i > 0 {
			end = floorDiv((at+1)*b.width-1, out.width)
		}
		if end > out.head-int64(m) {
			out.put(end, b.cells[b.slot(at)])
		}
	}
	return out
}

// Check returns an error if the totals are not those of the buckets.
func (b *Buckets) Check() error {
	if len(b.cells) == 0 || b.width < 1 {
		return errors.New("window: buckets out of shape")
	}
	var want Counts
	for _, c := range b.cells {
		if c.Failures > c.Calls || c.Slow > c.Calls {
			return fmt.Errorf("window: bucket holds %+v", c)
		}
		want.add(c)
	}
	if b.total != want {
		return fmt.Errorf("window: buckets count %+v but hold %+v", b.total, want)
	}
	return nil
}

// advance moves the newest bucket to that of now and empties what left. It never
// takes more than one round, however long nobody came.
func (b *Buckets) advance(now patterns.Instant) {
	i := floorDiv(int64(now), b.width)
	if !b.started {
		b.head, b.started = i, true
		return
	}
	if i <= b.head {
		return
	}
	if i-b.head < 0 || i-b.head >= int64(len(b.cells)) {
		clear(b.cells)
		b.total, b.head = Counts{}, i
		return
	}
	for b.head < i {
		b.head++
		cell := &b.cells[b.slot(b.head)]
		b.total.sub(*cell)
		*cell = Counts{}
	}
}

func (b *Buckets) put(index int64, c Counts) {
	b.cells[b.slot(index)].add(c)
	b.total.add(c)
}

func (b *Buckets) slot(index int64) int64 {
	m := int64(len(b.cells))
	return (index%m + m) % m
}

func floorDiv(a, b int64) int64 {
	q := a / b
	if a%b < 0 {
		q--
	}
	return q
}
