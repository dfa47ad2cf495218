package keyed

import (
	"fmt"

	"github.com/bulwark-go/bulwark/patterns/internal/fingerprint"
)

// Table maps fingerprints to states of a fixed number of words. The slices it returns
// are the states themselves, and valid until the next Insert, Delete or Sweep.
type Table struct {
	shape
	directory []*page // 1 << depth of them; a page that needs fewer bits is in it more often
	depth     uint
	pages     int
	keys      int
	max       int
	cursor    int // of Sweep: in the directory
	slot      int // of Sweep: in the page
	version   uint32
	convert   func(version uint32, state []uint64)
}

// New returns a table for at most so many keys with words of state each. convert is called
// before a state is handed out that was written in an older version (see SetVersion); it
// may be nil if there is only one.
func New(words, most int, convert func(version uint32, state []uint64)) *Table {
	t := &Table{shape: newShape(words), max: most, pages: 1, convert: convert}
	t.directory = []*page{t.newPage(0, 0)}
	return t
}

// Len is how many keys there are.
func (t *Table) Len() int { return t.keys }

// Max is how many there may be.
func (t *Table) Max() int { return t.max }

// SetMax changes how many keys there may be. Those that are there stay.
func (t *Table) SetMax(most int) { t.max = most }

// Full reports whether there is room for no other key.
func (t *Table) Full() bool { return t.keys >= t.max }

// Pages is how many pages there are.
func (t *Table) Pages() int { return t.pages }

// Bytes is how much memory the pages and their directory take.
func (t *Table) Bytes() int {
	return t.pages*(t.mask+1)*t.stride*8 + len(t.directory)*8
}

// index is where the page of k stands in the directory.
func (t *Table) index(k fingerprint.Key) int { return int(k.High >> (64 - t.depth)) }

// page returns the page of k, in this version.
func (t *Table) page(k fingerprint.Key) *page {
	p := t.directory[t.index(k)]
	if p.version != t.version {
		t.renew(p)
	}
	return p
}

// Find returns the state of k, or nil.
func (t *Table) Find(k fingerprint.Key) []uint64 {
	p := t.page(k)
	slot, ok := t.find(p, k)
	if !ok {
		return nil
	}
	return t.record(p, slot)[keyWords:]
}

// Insert makes a state for k, which has none, and returns it, all zero; nil if there
// is no room.
func (t *Table) Insert(k fingerprint.Key) []uint64 {
	if t.Full() {
		return nil
	}
	p := t.page(k)
	for p.used >= t.most() {
		if p.depth >= t.deepest {
			return nil
		}
		t.split(k)
		p = t.page(k)
	}
	t.keys++
	return t.put(p, k)
}

// Delete forgets k.
func (t *Table) Delete(k fingerprint.Key) {
	p := t.page(k)
	if slot, ok := t.find(p, k); ok {
		t.remove(p, slot)
		t.keys--
	}
}

// split makes two pages of the one of k.
func (t *Table) split(k fingerprint.Key) {
	p := t.directory[t.index(k)]
	if p.depth == t.depth {
		wider := make([]*page, 2*len(t.directory))
		for i, p := range t.directory {
			wider[2*i], wider[2*i+1] = p, p
		}
		t.directory, t.cursor = wider, 2*t.cursor
		t.depth++
	}
	halves := [2]*page{t.newPage(p.depth+1, p.version), t.newPage(p.depth+1, p.version)}
	t.pour(p, func(k fingerprint.Key) *page { return halves[k.High>>(63-p.depth)&1] })
	first, span := t.span(p, t.index(k))
	for i := range span {
		t.directory[first+i] = halves[2*i/span]
	}
	t.pages++
}

// span returns where in the directory the page is that stands at index.
func (t *Table) span(p *page, index int) (first, span int) {
	span = 1 << (t.depth - p.depth)
	return index &^ (span - 1), span
}

// Sweep looks at n slots, beginning where the last Sweep ended, and forgets the keys
// whose state is dead. Pages that have become nearly empty are joined.
func (t *Table) Sweep(n int, dead func(state []uint64) bool) {
	for range n {
		p := t.directory[t.cursor]
		if p.version != t.version {
			t.renew(p)
		}
		if t.key(p, t.slot) != (fingerprint.Key{}) && dead(t.record(p, t.slot)[keyWords:]) {
			t.remove(p, t.slot) // another record may now stand here
			t.keys--
			continue
		}
		if t.slot++; t.slot > t.mask {
			t.slot = 0
			t.join(p)
		}
	}
}

// SweepPage is Sweep for as many slots as a page has.
func (t *Table) SweepPage(dead func(state []uint64) bool) { t.Sweep(t.mask+1, dead) }

// join makes one page of p, which the sweep has come to the end of, and its other
// half, if both have little in them; and moves the cursor on.
func (t *Table) join(p *page) {
	first, span := t.span(p, t.cursor)
	t.cursor = (first + span) & (len(t.directory) - 1)
	if p.depth == 0 {
		return
	}
	other := t.directory[first^span]
	if other.depth != p.depth || p.used+other.used > (t.mask+1)/4 {
		return
	}
	if other.version != t.version {
		t.renew(other)
	}
	both := t.newPage(p.depth-1, t.version)
	into := func(fingerprint.Key) *page { return both }
	t.pour(p, into)
	t.pour(other, into)
	first &^= span
	for i := range 2 * span {
		t.directory[first+i] = both
	}
	t.cursor = (first + 2*span) & (len(t.directory) - 1)
	t.pages--
}

// SetVersion makes version that in which states are written from now on. Those written
// before are converted a page at a time, when it is next looked at.
func (t *Table) SetVersion(version uint32) { t.version = version }

// Oldest returns the oldest version that some page is written in.
func (t *Table) Oldest() uint32 {
	oldest := t.version
	for _, p := range t.directory {
		oldest = min(oldest, p.version)
	}
	return oldest
}

// renew converts a page.
func (t *Table) renew(p *page) {
	for slot := range t.mask + 1 {
		if t.key(p, slot) != (fingerprint.Key{}) {
			t.convert(p.version, t.record(p, slot)[keyWords:])
		}
	}
	p.version = t.version
}

// All calls f with every key and its state, in this version.
func (t *Table) All(f func(k fingerprint.Key, state []uint64)) {
	for i := 0; i < len(t.directory); {
		p := t.directory[i]
		if p.version != t.version {
			t.renew(p)
		}
		for slot := range t.mask + 1 {
			if k := t.key(p, slot); k != (fingerprint.Key{}) {
				f(k, t.record(p, slot)[keyWords:])
			}
		}
		_, span := t.span(p, i)
		i += span
	}
}

// Check returns an error if the pages and their directory do not fit together.
func (t *Table) Check() error {
	if len(t.directory) != 1<<t.depth || t.cursor >= len(t.directory) || t.slot > t.mask {
		return fmt.Errorf("keyed: the directory has %d entries for %d bits", len(t.directory), t.depth)
	}
	pages, keys := 0, 0
	for i := 0; i < len(t.directory); {
		p := t.directory[i]
		if p == nil || p.depth > t.depth || p.used < 0 || p.used > t.most() || p.version > t.version {
			return fmt.Errorf("keyed: page %d is broken", i)
		}
		first, span := t.span(p, i)
		if first != i || t.directory[i+span-1] != p {
			return fmt.Errorf("keyed: page %d is not where it belongs", i)
		}
		pages++
		keys += p.used
		i += span
	}
	if pages != t.pages || keys != t.keys {
		return fmt.Errorf("keyed: %d pages with %d keys, counted %d and %d", pages, keys, t.pages, t.keys)
	}
	return nil
}
