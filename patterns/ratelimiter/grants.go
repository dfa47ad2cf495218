package ratelimiter

import (
	"github.com/bulwark-go/bulwark/patterns"
	"github.com/bulwark-go/bulwark/patterns/internal/fingerprint"
)

// charge is what one permit, or reservation, has used.
type charge struct {
	key   fingerprint.Key // zero: the limiter has no keys
	since patterns.Instant
	n     int64 // 0: nothing
	over  bool  // from the budget that keys share
}

// grants knows what the permits that are out have used, so that it can be given back.
// The lowest bits of a permit's ID are its place: the shell numbers permits with the
// lowest number that is free, so that two do not meet. Where they do, the table grows;
// it stops growing at maxGrants, and then the older permit is forgotten: its release
// gives nothing back.
type grants struct{ places []grant }

type grant struct {
	id uint64
	charge
}

const (
	minGrants = 16
	maxGrants = 1 << 16
)

func newGrants() grants { return grants{make([]grant, minGrants)} }

func (g *grants) put(id uint64, c charge) {
	p := &g.places[id&uint64(len(g.places)-1)]
	for p.n != 0 && len(g.places) < maxGrants {
		g.grow()
		p = &g.places[id&uint64(len(g.places)-1)]
	}
	p.id, p.charge = id, c
}

func (g *grants) grow() {
	old := g.places
	g.places = make([]grant, 2*len(old))
	for _, p := range old {
		if p.n != 0 {
			g.places[p.id&uint64(len(g.places)-1)] = p
		}
	}
}

// end forgets a permit and returns what it used.
func (g *grants) end(id uint64) (c charge, ok bool) {
	p := &g.places[id&uint64(len(g.places)-1)]
	if p.id != id || p.n == 0 {
		return charge{}, false
	}
	c = p.charge
	p.n = 0
	return c, true
}

// forget makes all permits that are out give nothing back: the rules that they were
// charged under are no more.
func (g *grants) forget() { clear(g.places) }
