package main

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"sync/atomic"
)

// keyWidth is how many bytes a key has.
const keyWidth = 16

// keyset is distinct keys in random order, in one string. Whoever walks through it finds
// each key in the processor's cache, as if it had just come with a request, while what a
// limiter keeps of that key is anywhere in memory.
type keyset struct {
	all     string
	walkers *atomic.Uint64
}

// keysOf returns n keys, always the same. Those of the last n are kept, because a million
// of them take a while to make.
var keysOf = func() func(n int) keyset {
	var mu sync.Mutex
	var made keyset
	return func(n int) keyset {
		mu.Lock()
		defer mu.Unlock()
		if len(made.all) != n*keyWidth {
			made = makeKeys(n)
		}
		return made
	}
}()

func makeKeys(n int) keyset {
	var b strings.Builder
	b.Grow(n * keyWidth)
	for _, i := range rand.New(rand.NewPCG(1, 2)).Perm(n) {
		fmt.Fprintf(&b, "tenant-%09d", i)
	}
	return keyset{all: b.String(), walkers: new(atomic.Uint64)}
}

func (k keyset) len() int { return len(k.all) / keyWidth }

// first returns one of the keys, always the same.
func (k keyset) first() string { return k.all[:keyWidth] }

// stride is coprime to every power of ten.
const stride = 611_953

// each yields every key once, in another order than walk: what a limiter allocates for keys
// that come one after the other must not lie side by side.
func (k keyset) each(yield func(string) bool) {
	for i := range k.len() {
		at := i * stride % k.len() * keyWidth
		if !yield(k.all[at : at+keyWidth]) {
			return
		}
	}
}

// walk returns what returns one key after the other, for ever. Each walker begins
// somewhere else.
func (k keyset) walk() func() string {
	at := int(k.walkers.Add(1)*0x9e3779b9%uint64(k.len())) * keyWidth
	return func() string {
		key := k.all[at : at+keyWidth]
		if at += keyWidth; at == len(k.all) {
			at = 0
		}
		return key
	}
}
