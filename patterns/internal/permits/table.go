// Package permits keeps what a Machine has to remember of single permits.
package permits

import "iter"

// Table holds a T for some permits, by ID. The zero Table is empty. The low half of an ID
// is the number of a slot that the host uses again, so that a slice will do for most; a
// map takes the rest.
type Table[T any] struct {
	near []entry[T]
	far  map[uint64]T
	n    int
}

type entry[T any] struct {
	id    uint64 // 0: none
	value T
}

// reach is how many slots the slice has at most.
const reach = 1 << 12

// Len is how many there are.
func (t *Table[T]) Len() int { return t.n }

// Put remembers v of the permit id, and forgets what it knew of it before.
func (t *Table[T]) Put(id uint64, v T) {
	i := int(uint32(id)) - 1
	if i >= 0 && i < reach {
		for len(t.near) <= i {
			t.near = append(t.near, entry[T]{})
		}
		if e := &t.near[i]; e.id == 0 || e.id == id {
			t.Take(id)
			*e = entry[T]{id, v}
			t.n++
			return
		}
	}
	if t.far == nil {
		t.far = make(map[uint64]T)
	}
	before := len(t.far)
	t.far[id] = v
	t.n += len(t.far) - before
}

// Take returns what is known of the permit id, and forgets it.
func (t *Table[T]) Take(id uint64) (v T, ok bool) {
	if t.n == 0 {
		return v, false
	}
	if i := int(uint32(id)) - 1; i >= 0 && i < len(t.near) && t.near[i].id == id {
		v, t.near[i] = t.near[i].value, entry[T]{}
		t.n--
		return v, true
	}
	if v, ok = t.far[id]; ok {
		delete(t.far, id)
		t.n--
	}
	return v, ok
}

// All yields every permit that something is known of. It may be taken meanwhile.
func (t *Table[T]) All() iter.Seq2[uint64, T] {
	return func(yield func(uint64, T) bool) {
		for _, e := range t.near {
			if e.id != 0 && !yield(e.id, e.value) {
				return
			}
		}
		for id, v := range t.far {
			if !yield(id, v) {
				return
			}
		}
	}
}
