package snippets

import (
	"context"
	"errors"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/bulwark-go/bulwark/actors/exchange"
	"github.com/bulwark-go/bulwark/patterns"
)

// region: exchange-ask
type till struct {
	x    *exchange.Exchanger // one for the actor system
	bank *actor.PID
	safe patterns.Guard // a breaker, or pipeline.New("bank", hedge, again, breaker, soon)
	open map[exchange.ID]placeOrder
}

func (t *till) Receive(c actor.Context) {
	switch m := c.Message().(type) {
	case placeOrder:
		id, err := t.x.Ask(c, t.safe, t.bank, chargeCard{m}) // returns at once
		if err != nil {
			c.Respond(err) // exchange.ErrFull, and the like
			return
		}
		t.open[id] = m
	case exchange.Answered: // once for every ID
		if m.Err != nil {
			c.Logger().Warn("not charged", "order", t.open[m.ID], "attempts", m.Attempts, "error", m.Err)
		}
		delete(t.open, m.ID)
	}
}

// endregion

func exchangers(ctx context.Context, system *actor.ActorSystem, newTill, newBank actor.Producer) error {
	// region: exchange-new
	x, err := exchange.New(system, exchange.Config{MaxInFlight: 1000, Timeout: 10 * time.Second})
	if err != nil {
		return err // names every bad field
	}
	defer x.Stop(ctx)
	till := actor.PropsFromProducer(newTill, actor.WithReceiverMiddleware(x.EndOnRestart))
	// endregion

	// region: exchange-once
	once, err := exchange.NewOnce(exchange.OnceConfig{Capacity: 10_000, TTL: time.Minute})
	if err != nil {
		return err
	}
	bank := actor.PropsFromProducer(newBank, once.Attach)
	// endregion
	system.Root.Spawn(till)
	system.Root.Spawn(bank)
	return nil
}

func exchangeThen(c actor.Context, x *exchange.Exchanger, guard patterns.Guard, bank *actor.PID, order placeOrder) error {
	// region: exchange-then
	_, err := x.Ask(c, guard, bank, chargeCard{order}, exchange.Then(func(a exchange.Answered) {
		switch { // in a later turn of this actor; c is about the message that it asked for
		case errors.Is(a.Err, patterns.ErrRejected): // never sent
			c.Respond(a.Err)
		case a.Err != nil:
			c.Respond(a.Err)
		default:
			c.Respond(a.Reply)
		}
	}), exchange.Within(2*time.Second))
	// endregion
	return err
}

func exchangeCallee(c actor.Context, work func(context.Context, exchange.ID) any) {
	// region: exchange-callee
	attempt, _ := exchange.Of(c) // ID, Number, Deadline
	ctx, cancel := exchange.Context(c, context.Background())
	sender, root := c.Sender(), c.ActorSystem().Root
	go func() { // what takes long does not belong into a turn
		defer cancel()
		root.Send(sender, work(ctx, attempt.ID))
	}()
	// endregion
}
