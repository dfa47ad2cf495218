package keyed

import "github.com/bulwark-go/bulwark/patterns/internal/fingerprint"

// page is a table with linear probing. A record is the two words of the fingerprint,
// of which the zero one marks a free slot, and then the state.
type page struct {
	words   []uint64
	used    int
	depth   uint   // how many of the highest bits all its keys share
	version uint32 // in which its states are written
}

// keyWords are the words of the fingerprint.
const keyWords = 2

// shape is what all the pages of a table have in common.
type shape struct {
	stride  int
	mask    int  // slots − 1; their number is a power of two
	deepest uint // pages do not split beyond
}

// minSlots and maxSlots bound a page, and pageWords is what it should take at most.
// Random fingerprints come near to maxDepth only if there are many million pages; it
// bounds what a directory can become.
const (
	minSlots  = 8
	maxSlots  = 512
	pageWords = 1 << 13
	maxDepth  = 24
)

func newShape(words int) shape {
	stride, slots := keyWords+words, maxSlots
	for slots > minSlots && slots*stride > pageWords {
		slots /= 2
	}
	return shape{stride, slots - 1, maxDepth}
}

// most is how many records a page holds before it splits: seven eighths.
func (h shape) most() int { return (h.mask + 1) / 8 * 7 }

func (h shape) newPage(depth uint, version uint32) *page {
	return &page{words: make([]uint64, (h.mask+1)*h.stride), depth: depth, version: version}
}

func (h shape) record(p *page, slot int) []uint64 {
	return p.words[slot*h.stride : (slot+1)*h.stride : (slot+1)*h.stride]
}

func (h shape) key(p *page, slot int) fingerprint.Key {
	at := slot * h.stride
	return fingerprint.Key{High: p.words[at], Low: p.words[at+1]}
}

// find returns the slot of k, or the free one where it would go.
func (h shape) find(p *page, k fingerprint.Key) (slot int, ok bool) {
	for slot = int(k.Low) & h.mask; ; slot = (slot + 1) & h.mask {
		switch h.key(p, slot) {
		case k:
			return slot, true
		case fingerprint.Key{}:
			return slot, false
		}
	}
}

// put makes a record for k, which is not there, and returns its state, which is zero.
func (h shape) put(p *page, k fingerprint.Key) []uint64 {
	slot, _ := h.find(p, k)
	r := h.record(p, slot)
	r[0], r[1] = k.High, k.Low
	p.used++
	return r[keyWords:]
}

// remove frees a slot, and moves back the records that only stand where they do
// because it was taken, so that a search never meets a gap.
func (h shape) remove(p *page, slot int) {
	p.used--
	for next := slot; ; {
		next = (next + 1) & h.mask
		k := h.key(p, next)
		if k == (fingerprint.Key{}) {
			clear(h.record(p, slot))
			return
		}
		// The record may move if its own place is not between the gap and where it stands.
		if home := int(k.Low) & h.mask; (next-home)&h.mask >= (next-slot)&h.mask {
			copy(h.record(p, slot), h.record(p, next))
			slot = next
		}
	}
}

// pour puts the records of p into the pages that of names.
func (h shape) pour(p *page, of func(fingerprint.Key) *page) {
	for slot := range h.mask + 1 {
		if k := h.key(p, slot); k != (fingerprint.Key{}) {
			copy(h.put(of(k), k), h.record(p, slot)[keyWords:])
		}
	}
}
