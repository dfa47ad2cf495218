// Package digest tells of what happens often as one: the first at once, and then how many
// more, at most once in a period.
package digest

import (
	"time"

	"github.com/bulwark-go/bulwark/patterns"
)

// Every is the period.
const Every = time.Second

// Digest counts until it is time to tell. The zero Digest tells of the next one at once.
type Digest struct {
	untold uint64
	next   patterns.Instant // when it may tell again
	told   bool             // it has, ever
}

// Add counts one.
func (d *Digest) Add() { d.untold++ }

// Take returns how many there are to tell of at now: 0 if none, or if it is not time yet.
func (d *Digest) Take(now patterns.Instant) (n uint64) {
	if d.untold == 0 || d.told && now < d.next {
		return 0
	}
	n, d.untold = d.untold, 0
	d.next, d.told = now.Add(Every), true
	return n
}

// Due is when to Take next, or patterns.Never.
func (d *Digest) Due() patterns.Instant {
	if d.untold == 0 {
		return patterns.Never
	}
	return d.next
}
