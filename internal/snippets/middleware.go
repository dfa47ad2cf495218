package snippets

import (
	"context"
	"errors"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/bulwark-go/bulwark/actors"
	"github.com/bulwark-go/bulwark/actors/middleware"
	"github.com/bulwark-go/bulwark/actors/pool"
	"github.com/bulwark-go/bulwark/mailbox"
	"github.com/bulwark-go/bulwark/patterns"
	"github.com/bulwark-go/bulwark/patterns/circuitbreaker"
	"github.com/bulwark-go/bulwark/patterns/ratelimiter"
)

type placeOrder struct{ customer string }

func guardedDesk(newDesk actor.Producer, limiter patterns.Guard) (*actor.Props, error) {
	// region: middleware-receiver
	orders, err := middleware.NewReceiver(limiter, middleware.ReceiveConfig{
		Refused: middleware.Stash, Stash: 100, TTL: 2 * time.Second, // default: answer at once
	}, middleware.Key(func(msg any) string {
		return msg.(placeOrder).customer
	}), middleware.Only(func(msg any) bool {
		_, ok := msg.(placeOrder)
		return ok
	}))
	if err != nil {
		return nil, err // names every bad field
	}
	desk := actor.PropsFromProducer(newDesk, orders.Guard, actor.WithMailbox(mailbox.MustNew()))
	// endregion
	return desk, nil
}

type chargeCard struct{ order placeOrder }

// region: middleware-guarded
type counter struct {
	bank *middleware.Target // middleware.Guarded(bankPID, payments, middleware.RequestConfig{Timeout: time.Second})
}

func (d *counter) Receive(c actor.Context) {
	if order, ok := c.Message().(placeOrder); ok {
		d.bank.Request(c, chargeCard{order}, func(reply any, err error) {
			switch { // in a later turn of this actor, with c as it is now
			case errors.Is(err, patterns.ErrRejected): // never sent: the breaker is open
				c.Respond(err)
			case err != nil: // an error that the bank replied, or *middleware.RequestError
				c.Respond(err)
			default:
				c.Respond(reply)
			}
		})
	}
}

// endregion

func spawnCounter(bank *actor.PID, payments patterns.Guard) (*actor.Props, error) {
	// region: middleware-attach
	target, err := middleware.Guarded(bank, payments, middleware.RequestConfig{
		Timeout: time.Second,            // no reply by then is a failure
		Wait:    100 * time.Millisecond, // for the permit; default: not at all
	})
	if err != nil {
		return nil, err
	}
	props := actor.PropsFromProducer(func() actor.Actor { return &counter{target} }, middleware.Attach)
	// endregion
	return props, nil
}

func guardedSends(newAuditor actor.Producer, limiter *ratelimiter.Limiter) (*actor.Props, error) {
	// region: middleware-sender
	mails, err := middleware.NewSender(limiter, middleware.Only(func(msg any) bool {
		_, ok := msg.(mail)
		return ok
	}))
	if err != nil {
		return nil, err
	}
	auditor := actor.PropsFromProducer(newAuditor, actor.WithSenderMiddleware(mails.Middleware))
	// endregion
	return auditor, nil
}

type mail struct{}

func packersPool(ctx context.Context, guards *actors.Registry, newPacker actor.Producer) error {
	// region: middleware-pool
	packers, err := pool.Spawn(guards, "packers",
		actor.PropsFromProducer(newPacker, actor.WithMailbox(mailbox.MustNew(mailbox.Capacity(100)))),
		pool.Config{
			Size:    8,
			Timeout: 2 * time.Second,
			Breaker: circuitbreaker.Config{ConsecutiveFailures: 3, OpenFor: 10 * time.Second},
		})
	if err != nil {
		return err
	}
	defer packers.Stop(ctx)

	reply, err := actors.Ask[any](ctx, guards.System(), packers.PID(), placeOrder{"ann"})
	// endregion
	_ = reply
	return err
}
