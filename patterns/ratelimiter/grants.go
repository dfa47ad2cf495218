package ratelimiter

import (
	"github.com/bulwark-go/bulwark/patterns"
	"github.com/bulwark-go/bulwark/patterns/internal/fingerprint"
)

// charge is what one permit, or reservation, has used.
type charge struct {
	key   fingerprint.Key // zero: of no key
	since int64           // see rate.Rule
	n     int64           // 0: nothing
	over  bool            // from the budget that keys share
}

// grants knows what the permits that are out have used, so that it can be given back.
// The lowest bits of a permit's ID are its place: the shell numbers permits with the
// lowest number that is free, so that two do not meet. Where they do, the table grows;
// it stops growing at maxGrants, and then the older permit is forgotten: its release
// gives nothing back. The zero grants are none.
type grants struct{ places []grant }

type grant struct {
	id   uint64
	gone patterns.Instant // when there is nothing left to give back
	charge
}

const (
	minGrants = 16
	maxGrants = 1 << 16
)

func (g *grants) put(id uint64, c charge) {
	if g.places == nil {
		g.places = make([]grant, minGrants)
	}
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

// find returns what is known of a permit, or nil.
func (g *grants) find(id uint64) *grant {
	if len(g.places) == 0 {
		return nil
	}
	if p := &g.places[id&uint64(len(g.places)-1)]; p.id == id && p.n != 0 {
		return p
	}
	return nil
}

// end forgets a permit and returns what it used.
func (g *grants) end(id uint64) (c charge, ok bool) {
	p := g.find(id)
	if p == nil {
		return charge{}, false
	}
	c = p.charge
	p.n = 0
	return c, true
}

// drop is end for a permit that gives nothing back.
func (g *grants) drop(id uint64) {
	if p := g.find(id); p != nil {
		p.n = 0
	}
}

// forget makes all permits that are out give nothing back: the rules that they were
// charged under are no more.
func (g *grants) forget() { clear(g.places) }

// forgetKey does so for the permits of a key.
func (g *grants) forgetKey(k fingerprint.Key) {
	for i := range g.places {
		if g.places[i].key == k {
			g.places[i] = grant{}
		}
	}
}

// bookings are the reservations that can still be cancelled. They are numbered in turn,
// and the oldest is forgotten when there are maxGrants that are worth something.
type bookings struct {
	grants
	last uint64 // the number of the last one
	// made counts them, and undone those that were cancelled.
	made, undone uint64
}

// put numbers a reservation that is worth something until gone.
func (b *bookings) put(now, gone patterns.Instant, c charge) (id uint64) {
	b.last++
	b.made++
	if len(b.places) > 0 {
		if p := b.place(b.last); p.n != 0 && p.gone <= now {
			p.n = 0
		}
	}
	b.grants.put(b.last, c)
	b.place(b.last).gone = gone
	return b.last
}

func (b *bookings) place(id uint64) *grant { return &b.places[id&uint64(len(b.places)-1)] }

// cancel ends a reservation and returns what it booked, unless that is worth nothing any
// more, or it is another key's.
func (b *bookings) cancel(now patterns.Instant, id uint64, k fingerprint.Key) (c charge, ok bool) {
	p := b.find(id)
	if p == nil || p.key != k || p.gone <= now {
		return charge{}, false
	}
	b.undone++
	return b.end(id)
}
