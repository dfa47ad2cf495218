package family

import (
	"sync"

	"github.com/bulwark-go/bulwark/patterns"
)

const (
	// Most is how many members a family has at most, the one that is shared not counted.
	Most = 1024
	// Rest is the key of that one.
	Rest = "*"
)

// Family is guards by key. It is safe for concurrent use.
type Family struct {
	make    func(key string) (patterns.Guard, error)
	mu      sync.RWMutex
	members map[string]patterns.Guard
}

// New returns a Family whose members are made by f, one at a time, on the goroutine of the
// call that first needs one. A member that could not be made is tried again.
func New(f func(key string) (patterns.Guard, error)) *Family {
	return &Family{make: f, members: make(map[string]patterns.Guard)}
}

// Of returns the guard for key.
func (f *Family) Of(key string) (patterns.Guard, error) {
	f.mu.RLock()
	g := f.members[key]
	f.mu.RUnlock()
	if g != nil {
		return g, nil
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if key != Rest && len(f.members) >= Most && f.members[key] == nil {
		key = Rest
	}
	if g := f.members[key]; g != nil {
		return g, nil
	}
	g, err := f.make(key)
	if err == nil && g == nil {
		err = patterns.ErrNilGuard
	}
	if err != nil {
		return nil, err
	}
	f.members[key] = g
	return g, nil
}
