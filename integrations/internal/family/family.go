package family

import (
	"container/list"
	"context"
	"errors"
	"iter"
	"slices"
	"strings"
	"sync"
)

const (
	// Most is how many members a family has at most, unless it is told otherwise; the one that
	// is shared is not counted.
	Most = 1024
	// Rest is the key of that one.
	Rest = "*"
)

// ErrFull says that there are as many members as there may be, and that all of them are in use.
var ErrFull = errors.New("family: all members are in use")

// Family is members by key. It is safe for concurrent use.
type Family[V any] struct {
	make   func(key string) (V, error)
	forget func(ctx context.Context, key string, v V) // nil if no member is forgotten
	most   int
	making chan struct{} // has room for whoever makes a member, or forgets one

	mu    sync.RWMutex
	known map[string]*Member[V]
	order list.List // of members, the latest used first; empty if none is forgotten
}

// Member is one of a family, in use by whoever has it.
type Member[V any] struct {
	Key   string
	Value V

	family *Family[V]
	users  int
	place  *list.Element // nil if it is never forgotten
}

// Sharing returns a Family of which those that come after the first Most share one. Members are
// made by f, one at a time, on the goroutine of the call that first needs one. A member that
// could not be made is tried again.
func Sharing[V any](f func(key string) (V, error)) *Family[V] { return newFamily(Most, f) }

// Forgetting is Sharing for a Family that never has more than most: it forgets the member that
// was not used for longest, of those that nobody uses, and then calls forget, on the goroutine
// of the call that needs its place.
func Forgetting[V any](most int, f func(key string) (V, error), forget func(ctx context.Context, key string, v V)) *Family[V] {
	all := newFamily(most, f)
	all.forget = forget
	return all
}

func newFamily[V any](most int, f func(key string) (V, error)) *Family[V] {
	return &Family[V]{make: f, most: most, making: make(chan struct{}, 1), known: make(map[string]*Member[V])}
}

// Use returns the member for key, which is in use until Done. The error is that of making it,
// the cause of ctx's end, or ErrFull.
func (f *Family[V]) Use(ctx context.Context, key string) (*Member[V], error) {
	if m := f.use(key); m != nil {
		return m, nil
	}
	select {
	case f.making <- struct{}{}:
		defer func() { <-f.making }()
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
	if m := f.use(key); m != nil { // another one has made it
		return m, nil
	}
	if f.forget == nil && f.full() {
		key = Rest
		if m := f.use(key); m != nil {
			return m, nil
		}
	}
	if err := f.makeRoom(ctx); err != nil {
		return nil, err
	}
	v, err := f.make(key)
	if err != nil {
		return nil, err
	}
	return f.add(key, v), nil
}

// use returns the member for key, if there is one.
func (f *Family[V]) use(key string) *Member[V] {
	if f.forget == nil {
		f.mu.RLock()
		defer f.mu.RUnlock()
		return f.known[key]
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	m := f.known[key]
	if m != nil {
		m.users++
		f.order.MoveToFront(m.place)
	}
	return m
}

// Done says that a call that has used m has ended. m may be nil.
func (m *Member[V]) Done() {
	if m == nil || m.place == nil {
		return
	}
	m.family.mu.Lock()
	defer m.family.mu.Unlock()
	m.users--
}

func (f *Family[V]) add(key string, v V) *Member[V] {
	f.mu.Lock()
	defer f.mu.Unlock()
	m := &Member[V]{Key: key, Value: v, family: f, users: 1}
	if f.forget != nil {
		m.place = f.order.PushFront(m)
	}
	f.known[key] = m
	return m
}

func (f *Family[V]) full() bool {
	f.mu.RLock()
	defer f.mu.RUnlock()
	return len(f.known) >= f.most
}

// makeRoom forgets a member if there is no room for another.
func (f *Family[V]) makeRoom(ctx context.Context) error {
	if f.forget == nil || !f.full() {
		return nil
	}
	m := f.oldest()
	if m == nil {
		return ErrFull
	}
	f.forget(context.WithoutCancel(ctx), m.Key, m.Value)
	return nil
}

// oldest takes the member away that was not used for longest, if any is not in use.
func (f *Family[V]) oldest() *Member[V] {
	f.mu.Lock()
	defer f.mu.Unlock()
	for e := f.order.Back(); e != nil; e = e.Prev() {
		if m := e.Value.(*Member[V]); m.users == 0 {
			f.order.Remove(e)
			delete(f.known, m.Key)
			return m
		}
	}
	return nil
}

// All are the members as of now, in the order of their keys.
func (f *Family[V]) All() iter.Seq2[string, V] {
	f.mu.RLock()
	defer f.mu.RUnlock()
	all := make([]*Member[V], 0, len(f.known))
	for _, m := range f.known {
		all = append(all, m)
	}
	slices.SortFunc(all, func(a, b *Member[V]) int { return strings.Compare(a.Key, b.Key) })
	return func(yield func(string, V) bool) {
		for _, m := range all {
			if !yield(m.Key, m.Value) {
				return
			}
		}
	}
}
