package main

import (
	"context"
	"sync/atomic"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/bulwark-go/bulwark/mailbox"
)

// order is what the desk is sent.
type order struct {
	urgent bool
	at     time.Time
	served int64 // how many the desk had served by then
}

// answer is what the customer hears.
type answer struct {
	order   order
	refused bool
	after   time.Duration
	behind  int // how many others were served before it
}

// desk takes a millisecond for each order, and longer if those who place them are slower: so
// that they place ten times too many on any machine.
type desk struct {
	served atomic.Int64
	next   chan struct{} // takes something in when an order is done
	over   chan struct{} // is closed when no more orders come
}

func newDesk() *desk { return &desk{next: make(chan struct{}), over: make(chan struct{})} }

func (d *desk) props(box actor.MailboxProducer) *actor.Props {
	return actor.PropsFromFunc(func(c actor.Context) {
		o, ok := c.Message().(order)
		if !ok {
			return
		}
		behind := int(d.served.Load() - o.served)
		time.Sleep(time.Millisecond)
		d.served.Add(1)
		c.Respond(answer{order: o, after: time.Since(o.at), behind: behind})
		select {
		case d.next <- struct{}{}:
		case <-d.over:
		}
	}, actor.WithMailbox(box))
}

// wait returns when the desk has done an order.
func (d *desk) wait(ctx context.Context) error {
	select {
	case <-d.next:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// customer passes on what it hears, refusals included.
func customer(answers chan<- answer) *actor.Props {
	return actor.PropsFromFunc(func(c actor.Context) {
		switch msg := c.Message().(type) {
		case answer:
			answers <- msg
		case mailbox.Undelivered:
			if o, ok := msg.Message.(order); ok {
				answers <- answer{order: o, refused: true, after: time.Since(o.at)}
			}
		}
	})
}
