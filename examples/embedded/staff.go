package main

import (
	"errors"
	"sync/atomic"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/bulwark-go/bulwark/actors/middleware"
)

// What actors say to each other.
type (
	// order is answered with "shipped", or an error.
	order struct{ customer string }
	// charge is answered with a receipt, or an error.
	charge  struct{ customer string }
	receipt struct{}
	// pack is answered with a parcel.
	pack   struct{ customer string }
	parcel struct{}
	// outage says whether the bank is down from now on.
	outage struct{ down bool }
)

// desk takes orders. It never blocks, and knows nothing of guards but what it is told when
// they refuse.
type desk struct{ bank, packing *middleware.Target }

// Receive implements actor.Actor.
func (d *desk) Receive(c actor.Context) {
	o, ok := c.Message().(order)
	if !ok {
		return
	}
	d.bank.Request(c, charge(o), func(_ any, err error) {
		if err != nil {
			c.Respond(err)
			return
		}
		d.packing.Request(c, pack(o), func(_ any, err error) {
			if err != nil {
				c.Respond(err)
				return
			}
			c.Respond("shipped")
		})
	})
}

var errDown = errors.New("the bank is down")

// bank is what the shop depends on.
type bank struct{ down bool }

func newBank() actor.Actor { return &bank{} }

// Receive implements actor.Actor.
func (b *bank) Receive(c actor.Context) {
	switch m := c.Message().(type) {
	case outage:
		b.down = m.down
	case charge:
		if b.down {
			c.Respond(errDown)
			return
		}
		c.Respond(receipt{})
	}
}

// tables counts how many parcels were packed at once.
type tables struct{ now, most atomic.Int64 }

// packer packs, and takes its time.
type packer struct{ tables *tables }

// Receive implements actor.Actor.
func (p *packer) Receive(c actor.Context) {
	m, ok := c.Message().(pack)
	if !ok {
		return
	}
	if m.customer == "jack" {
		panic("it ticks")
	}
	now := p.tables.now.Add(1)
	for most := p.tables.most.Load(); now > most && !p.tables.most.CompareAndSwap(most, now); most = p.tables.most.Load() {
	}
	time.Sleep(10 * time.Millisecond)
	p.tables.now.Add(-1)
	c.Respond(parcel{})
}
