package snippets

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/bulwark-go/bulwark/actors"
	"github.com/bulwark-go/bulwark/patterns"
	"github.com/bulwark-go/bulwark/patterns/circuitbreaker"
	"github.com/bulwark-go/bulwark/supervisor"
	"github.com/bulwark-go/bulwark/supervisor/intensity"
)

type (
	order   struct{ customer string }
	receipt struct{}
	bankAPI struct{}
)

func (bankAPI) charge(context.Context, order) (receipt, error) { return receipt{}, nil }

func spawnAndGuard(ctx context.Context, bank bankAPI, o order, retryLater func(time.Duration)) error {
	// region: spawn
	system := actor.NewActorSystem()          // an ordinary proto.actor system
	guards, err := actors.NewRegistry(system) // root supervisor, names, events
	if err != nil {
		return err
	}
	defer guards.Shutdown(ctx)

	payments, err := circuitbreaker.Spawn(guards, "payments", circuitbreaker.Config{
		FailureRatio: 0.5, Window: circuitbreaker.Last(100),
		OpenFor: 30 * time.Second,
	}) // the zero Config works too; err names every bad field
	if err != nil {
		return err
	}

	paid, err := patterns.Do(ctx, payments, func(ctx context.Context) (receipt, error) {
		return bank.charge(ctx, o) // err is the bank's own, untouched
	})

	switch open, isOpen := errors.AsType[*circuitbreaker.OpenError](err); {
	case isOpen:
		retryLater(open.RetryAfter())
	case errors.Is(err, patterns.ErrRejected): // some other guard refused: it never ran
	case err != nil: // it ran, and failed
	}

	charge := patterns.Wrap(payments, bank.charge) // the same type as bank.charge
	// endregion
	_ = paid
	_, err = charge(ctx, o)
	return err
}

func twoSteps(ctx context.Context, payments *circuitbreaker.Breaker, work func() error) error {
	// region: permit
	permit, err := payments.Acquire(ctx)
	if err != nil {
		return err
	}
	defer permit.Release() // no verdict; does nothing after Report

	if err := work(); err != nil {
		permit.Report(patterns.Failure)
		return err
	}
	permit.Report(patterns.Success)
	// endregion
	return nil
}

// region: messages
type orders struct {
	payments *actor.PID // payments.PID()
	waiting  map[uint64]order
	next     uint64
}

func (o *orders) Receive(c actor.Context) {
	switch m := c.Message().(type) {
	case order:
		o.next++
		o.waiting[o.next] = m
		c.Request(o.payments, actors.Acquire{Ref: o.next, Holder: c.Self()})
	case actors.Granted: // the answer comes back as a message
		o.charge(c, o.waiting[m.Ref], m.Permit)
		delete(o.waiting, m.Ref)
	case actors.Rejected:
		c.Logger().Info("try later", slog.Duration("after", m.RetryAfter))
		delete(o.waiting, m.Ref)
	}
}

// If this actor stops first, its permits and its place in the queue go back by themselves.
func (o *orders) charge(c actor.Context, _ order, p patterns.PermitID) {
	c.Send(o.payments, actors.Report{Permit: p, Outcome: patterns.Success})
}

// endregion

func supervise(newWorker actor.Producer) (*actor.Props, error) {
	// region: supervision
	strategy, err := supervisor.OneForOne(supervisor.Config{
		Intensity: intensity.Config{Restarts: 5, Period: 10 * time.Second}, // more: give up, and say so
	})
	if err != nil {
		return nil, err
	}
	pool := actor.PropsFromFunc(func(c actor.Context) {
		if _, ok := c.Message().(*actor.Started); ok {
			c.Spawn(actor.PropsFromProducer(newWorker))
		}
	}, strategy.Supervise)
	// endregion
	return pool, nil
}

func watch(ctx context.Context, guards *actors.Registry, payments *circuitbreaker.Breaker, log *slog.Logger) error {
	// region: steer
	for name, snapshot := range guards.All() {
		log.Info("guard", "name", name, "snapshot", snapshot)
	}
	events, stop := guards.Subscribe(actors.Only[circuitbreaker.StateChanged](), actors.Buffer(256))
	defer stop()
	go func() {
		for e := range events {
			log.Log(ctx, e.Level(), "guard", "event", e)
		}
	}()
	if err := payments.ForceOpen(ctx, 10*time.Minute, "maintenance, ticket 4711"); err != nil {
		return err
	}
	return payments.Reconfigure(ctx, circuitbreaker.Config{ConsecutiveFailures: 3}) // keeps what it has learned
	// endregion
}

func leased(guards *actors.Registry) (*circuitbreaker.Breaker, error) {
	// region: leased
	return circuitbreaker.Spawn(guards, "hot-path", circuitbreaker.Config{
		Mode: patterns.Leased(64, 100*time.Millisecond),
	})
	// endregion
}
