package middleware

import (
	"fmt"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/bulwark-go/bulwark/actors/internal/attempts"
	"github.com/bulwark-go/bulwark/patterns"
)

// Receiver guards what actors do with the messages that they get. Give its method Guard
// to their props. It is immutable, and may be shared by any number of actors; they share
// the guard, and each has a stash of its own.
type Receiver struct {
	guard patterns.Guard
	cfg   ReceiveConfig
	wiring
}

// NewReceiver returns a Receiver that asks guard for a permit for each message. The
// error names every fault of cfg.
func NewReceiver(guard patterns.Guard, cfg ReceiveConfig, opts ...Option) (*Receiver, error) {
	if guard == nil {
		return nil, fmt.Errorf("middleware: %w", patterns.ErrNilGuard)
	}
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	r := &Receiver{cfg: cfg.withDefaults(), wiring: wire(opts)}
	r.guard = attempts.Judged(guard, r.judge)
	return r, nil
}

// Guard makes the actors that are spawned from props ask the guard before they handle a
// message. It is an actor.PropsOption. It adds a context decorator to the props, which
// sees what an actor responds, as receiver middleware would not; of two Receivers the
// first one is asked first. Receiver middleware runs before all of them, and on every
// message.
func (r *Receiver) Guard(props *actor.Props) {
	actor.WithContextDecorator(func(next actor.ContextDecoratorFunc) actor.ContextDecoratorFunc {
		return func(c actor.Context) actor.Context { return newGate(r, attached(next(c))) }
	})(props)
}

// Inspect asks an actor that is guarded by a Receiver for a Snapshot. It is answered by
// the Receiver, the first one if there are several.
type Inspect struct{}

func (Inspect) ofMiddleware() {}

// Snapshot is what a Receiver has done for one actor since it was spawned; restarts do
// not clear it. Messages that are never guarded are not counted. At every moment
//
//	Asked = Admitted + Rejected + Expired + Abandoned + Stashed
type Snapshot struct {
	Guard string // its name

	Asked     uint64 // messages that needed a permit
	Admitted  uint64 // of them, handled
	Rejected  uint64 // answered at once, because the guard refused or the stash was full
	Expired   uint64 // answered because they had waited for too long
	Abandoned uint64 // answered because the actor stopped or restarted
	Stashed   int    // waiting now
	Replayed  uint64 // of Admitted, those that had waited
}
