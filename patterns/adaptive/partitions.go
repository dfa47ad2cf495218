package adaptive

import (
	"fmt"
	"maps"
	"slices"

	"github.com/bulwark-go/bulwark/patterns/internal/faults"
)

// Partitions are shares of the limit that belong to some keys. Make them with
// Guarantee. Two Configs are equal if they share one.
type Partitions struct{ shares map[string]float64 }

// Guarantee gives each key its share of the limit, in (0, 1]; together they must not
// be more than 1, and what they leave is shared by all other keys. A key that does not
// use its share lends it to the others, and gets it back as their calls end.
func Guarantee(shares map[string]float64) *Partitions {
	return &Partitions{shares: maps.Clone(shares)}
}

func (p *Partitions) of(key string) (share float64, ok bool) {
	if p == nil {
		return 0, false
	}
	share, ok = p.shares[key]
	return share, ok
}

// rest is what is left for keys without a guarantee.
func (p *Partitions) rest() float64 {
	if p == nil {
		return 1
	}
	sum := 0.0
	for _, key := range slices.Sorted(maps.Keys(p.shares)) { // the same sum each time
		sum += p.shares[key]
	}
	return max(0, 1-sum)
}

func (p *Partitions) complain(f *faults.Faults) {
	if p == nil {
		return
	}
	f.Check(len(p.shares) > 0, "Partitions", nil, "guarantees nothing")
	sum := 0.0
	for _, key := range slices.Sorted(maps.Keys(p.shares)) {
		share := p.shares[key]
		f.Check(share > 0 && share <= 1, "Partitions", share, fmt.Sprintf("must be in (0, 1], also for %q", key))
		sum += share
	}
	f.Check(sum <= 1+1e-9, "Partitions", sum, "is more than 1 in all")
}
