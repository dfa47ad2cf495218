package exchange

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/bulwark-go/bulwark/actors"
	"github.com/bulwark-go/bulwark/actors/internal/instance"
	"github.com/bulwark-go/bulwark/mailbox"
	"github.com/bulwark-go/bulwark/patterns"
)

// Exchanger makes requests on behalf of actors. Its methods may be called from any goroutine,
// Ask from the turn of the actor that asks. One is enough for an actor system; several do
// not share their MaxInFlight.
type Exchanger struct {
	system *actor.ActorSystem
	cfg    Config
	prefix string        // of IDs
	slots  chan struct{} // one in it for each exchange under way
	closed chan struct{}
	stops  chan int // how many slots Stop has taken: all, if it is done
	pid    *actor.PID
}

// Answered tells the asking actor what came of an exchange. It comes exactly once for every
// Ask that returned no error, unless the actor stops or restarts first.
type Answered struct {
	ID      ID
	To      *actor.PID
	Message any
	// Reply is the callee's, or what a fallback gave, if Err is nil.
	Reply any
	// Err is as patterns.Do returns it: a reply that is an error, as it is; a refusal by the
	// guard, which matches patterns.ErrRejected; an *AttemptError, if there was none; what
	// the guard's policies make of these; an *EndedError, if the exchange was ended.
	Err      error
	Attempts int           // that were sent
	Elapsed  time.Duration // since Ask

	instance actor.Actor // that asked
}

// Lane is Urgent: a mailbox never sheds an answer.
func (Answered) Lane() mailbox.Lane { return mailbox.Urgent }

// IgnoreDeadLetterLogging says that an asker that has stopped needs none.
func (Answered) IgnoreDeadLetterLogging() {}

// New starts an Exchanger. The error names every fault of cfg.
func New(system *actor.ActorSystem, cfg Config) (*Exchanger, error) {
	var missing error
	if system == nil {
		missing = fmt.Errorf("exchange: %w", actors.ErrNilSystem)
	}
	if err := errors.Join(missing, cfg.Validate()); err != nil {
		return nil, err
	}
	cfg = cfg.withDefaults()
	x := &Exchanger{
		system: system, cfg: cfg, prefix: rand.Text()[:16],
		slots: make(chan struct{}, cfg.MaxInFlight), closed: make(chan struct{}), stops: make(chan int, 1),
	}
	x.stops <- 0
	b := newBroker(x)
	x.pid = system.Root.SpawnPrefix(actor.PropsFromProducer(func() actor.Actor { return b },
		actor.WithMailbox(func() actor.Mailbox { return b.box })), "bulwark-exchange")
	return x, nil
}

// Ask asks the actor to, on behalf of the actor whose turn c belongs to, and returns at
// once. The guard decides, on a goroutine of its own, whether, when and how often message is
// sent; message must therefore not be changed any more, and the callee sees the same one in
// every attempt. A patterns.Request, if guards need one, is given with For. What comes of it
// arrives as Answered. Nothing does if Ask returns an error: a *RefusedError with ErrFull,
// ErrStopped or ErrExpired, or what was wrong with the arguments.
//
// If the actor is handling a request that has a deadline, the exchange ends by then.
//
// The messages are sent by the system's root context, past the actor's sender middleware.
func (x *Exchanger) Ask(c actor.Context, guard patterns.Guard, to *actor.PID, message any, opts ...Option) (ID, error) {
	began := time.Now()
	a := asking{within: x.cfg.Timeout, ctx: context.Background()}
	for _, o := range opts {
		if o != nil {
			o(&a)
		}
	}
	if err := x.mistakes(c, guard, to, &a); err != nil {
		return "", err
	}
	by := began.Add(a.within)
	if !a.by.IsZero() && a.by.Before(by) {
		by = a.by
	}
	if within, ok := Of(c); ok && within.Deadline.Before(by) {
		by = within.Deadline
	}
	if err := x.enter(began, by); err != nil {
		x.tell(refused{})
		return "", &RefusedError{To: to, Message: message, Reason: err}
	}
	if a.id == "" {
		a.id = ID(x.prefix + x.system.ProcessRegistry.NextId())
	}
	e := &exchange{
		x: x, id: a.id, guard: guard, request: a.request, to: to, message: message,
		asker: c.Self(), instance: c.Actor(), began: began,
	}
	if a.then != nil {
		e.reenter(c, a.then)
	}
	ctx, cancel := context.WithCancelCause(a.ctx)
	e.cancel = cancel
	e.ctx, e.release = context.WithDeadlineCause(ctx, by, ErrTimeout)
	x.tell(begun{of: e})
	go e.run()
	return e.id, nil
}

// mistakes returns what is wrong with the arguments of Ask.
func (x *Exchanger) mistakes(c actor.Context, guard patterns.Guard, to *actor.PID, a *asking) error {
	err := a.faults.joined()
	if guard == nil {
		err = errors.Join(err, patterns.ErrNilGuard)
	}
	if to == nil {
		err = errors.Join(err, ErrNilPID)
	}
	if c.ActorSystem() != x.system {
		err = errors.Join(err, ErrForeignSystem)
	}
	if err != nil {
		return fmt.Errorf("exchange: %w", err)
	}
	return nil
}

// enter takes a slot.
func (x *Exchanger) enter(now, by time.Time) error {
	if !now.Before(by) {
		return ErrExpired
	}
	select {
	case <-x.closed:
		return ErrStopped
	default:
	}
	select {
	case x.slots <- struct{}{}:
		return nil
	default:
	}
	select {
	case <-x.closed: // Stop has the slots
		return ErrStopped
	default:
		return fmt.Errorf("%w: %d of %d", ErrFull, x.cfg.MaxInFlight, x.cfg.MaxInFlight)
	}
}

// Cancel ends an exchange, if it is under way: its context ends, and Answered comes with an
// *EndedError, whose Cause is ErrCancelled, unless an answer comes first or the guard has
// something to give instead. Of exchanges with one ID, given with As, all end.
func (x *Exchanger) Cancel(id ID) { x.tell(cancelled{id: id}) }

// EndOnRestart is receiver middleware for actors that ask and can restart: everything that
// such an actor has asked for ends as it restarts, as it does by itself when the actor
// stops, and an Answered that is on its way to the instance that is gone does not reach the
// new one. A death watch alone does not notice a restart.
func (x *Exchanger) EndOnRestart(next actor.ReceiverFunc) actor.ReceiverFunc {
	return func(c actor.ReceiverContext, envelope *actor.MessageEnvelope) {
		switch m := envelope.Message.(type) {
		case *actor.Restarting:
			x.tell(left{asker: c.Self()})
		case Answered:
			if !instance.Same(c.Actor(), m.instance) {
				return
			}
		}
		next(c, envelope)
	}
}

// Snapshot is what an Exchanger has done. At every moment
//
//	Asked = Answered + Abandoned + InFlight
type Snapshot struct {
	Asked     uint64 // exchanges that began
	Answered  uint64
	Abandoned uint64 // whose askers stopped or restarted
	InFlight  int

	Refused  uint64 // Asks that were refused with an error of this package
	Attempts uint64 // sent
	Late     uint64 // replies to attempts that had ended, and second replies
}

// Snapshot returns what x has done. The error is ctx's, or actors.ErrUnavailable if x has
// stopped.
func (x *Exchanger) Snapshot(ctx context.Context) (Snapshot, error) {
	return actors.Ask[Snapshot](ctx, x.system, x.pid, inspect{})
}

// Stop ends all exchanges, whose askers are told, and waits for their guards to return, until
// ctx ends: then it returns a *StopError, and may be called again. Ask is refused from now
// on.
func (x *Exchanger) Stop(ctx context.Context) error {
	var taken int
	select {
	case taken = <-x.stops:
	case <-ctx.Done():
		return &StopError{InFlight: len(x.slots), Cause: ctx.Err()}
	}
	defer func() { x.stops <- taken }()
	if taken == x.cfg.MaxInFlight {
		return nil
	}
	select {
	case <-x.closed:
	default:
		close(x.closed)
	}
	x.tell(stop{})
	for taken < x.cfg.MaxInFlight {
		select {
		case x.slots <- struct{}{}:
			taken++
		case <-ctx.Done():
			return &StopError{InFlight: x.cfg.MaxInFlight - taken, Cause: ctx.Err()}
		}
	}
	return x.system.Root.PoisonFuture(x.pid).Wait()
}

func (x *Exchanger) tell(msg any) { x.system.Root.Send(x.pid, msg) }
