package main

import (
	"fmt"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/bulwark-go/bulwark/actors"
	"github.com/bulwark-go/bulwark/patterns"
)

// placeOrder is answered with a string: how it went.
type placeOrder struct{ Customer string }

// orders is an actor that must not block: it asks the breaker for a permit by message,
// has the bank charge by message, and reports by message how that went.
type orders struct {
	payments, bank *actor.PID
	last           uint64
	open           map[uint64]order // by the Ref that comes back in every reply
}

type order struct {
	customer string
	from     *actor.PID
	permit   patterns.PermitID
}

func newOrders(payments, bank *actor.PID) *orders {
	return &orders{payments: payments, bank: bank, open: map[uint64]order{}}
}

// Receive implements actor.Actor.
func (o *orders) Receive(c actor.Context) {
	switch m := c.Message().(type) {
	case placeOrder:
		o.last++
		o.open[o.last] = order{customer: m.Customer, from: c.Sender()}
		c.Request(o.payments, actors.Acquire{Ref: o.last, Holder: c.Self()})

	case actors.Granted:
		order := o.open[m.Ref]
		order.permit = m.Permit
		o.open[m.Ref] = order
		c.Request(o.bank, charge{Ref: m.Ref, Customer: order.customer})

	case actors.Rejected:
		o.answer(c, m.Ref, fmt.Sprintf("try again in %v", m.RetryAfter.Round(time.Minute)))

	case charged:
		c.Send(o.payments, actors.Report{Permit: o.open[m.Ref].permit, Outcome: patterns.Success})
		o.answer(c, m.Ref, "paid")

	case notCharged:
		c.Send(o.payments, actors.Report{Permit: o.open[m.Ref].permit, Outcome: patterns.Failure})
		o.answer(c, m.Ref, "failed")
	}
}

func (o *orders) answer(c actor.Context, ref uint64, how string) {
	c.Send(o.open[ref].from, how)
	delete(o.open, ref)
}
