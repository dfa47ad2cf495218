package actors

import (
	"errors"
	"fmt"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/bulwark-go/bulwark/actors/internal/instance"
	"github.com/bulwark-go/bulwark/patterns"
)

// AcquireThen asks guard for a permit on behalf of the actor whose turn c belongs
// to, without blocking it, and calls then in a later turn of the same actor with the
// permit, or the reason why there is none. The actor is the permit's holder: if it
// stops first, the permit comes back by itself. If it was restarted meanwhile, then is
// not called, because it belongs to an instance that is gone, and the permit is
// released; of an actor that is a mere function, all instances are the same.
//
// guard must be run by an actor of its own; for others then gets ErrUnsupported.
func AcquireThen(c actor.Context, guard patterns.Guard, then func(patterns.Permit, error)) {
	g, ok := guard.(interface {
		PID() *actor.PID
		settlerOf(id uint64) patterns.Settler
		away() (patterns.Permit, error)
	})
	if !ok {
		then(patterns.Permit{}, fmt.Errorf("%w: AcquireThen of a %T", ErrUnsupported, guard))
		return
	}
	asker := c.Actor()
	future := c.RequestFuture(g.PID(), Acquire{Holder: c.Self()}, -1)
	c.ReenterAfter(future, func(reply any, err error) {
		var permit patterns.Permit
		switch reply := reply.(type) {
		case Granted:
			permit = patterns.NewPermit(g.settlerOf(reply.Permit.ID), reply.Permit.ID, 0)
		case Rejected:
			err = guard.Terms().Rejected(reply.Err)
		default:
			if err == nil {
				err = fmt.Errorf("%w: %T", ErrReply, reply)
			}
		}
		if !instance.Same(c.Actor(), asker) {
			permit.Release()
			return
		}
		if errors.Is(err, actor.ErrDeadLetter) || errors.Is(err, ErrStopped) {
			permit, err = g.away()
		}
		then(permit, err)
	})
}

// ReleaseOnRestart is receiver middleware for actors that hold permits: when such an
// actor restarts, everything that it holds and waits for in any guard of r comes back,
// as it does by itself when the actor stops. A death watch alone does not notice a
// restart.
func ReleaseOnRestart(r *Registry) actor.ReceiverMiddleware {
	return func(next actor.ReceiverFunc) actor.ReceiverFunc {
		return func(c actor.ReceiverContext, envelope *actor.MessageEnvelope) {
			if _, restarting := envelope.Message.(*actor.Restarting); restarting && r != nil {
				for _, m := range r.directory.all() {
					r.system.Root.Send(m.handle.pid, Release{Holder: c.Self()})
					r.system.Root.Send(m.handle.pid, releaseLater{Holder: c.Self()})
				}
			}
			next(c, envelope)
		}
	}
}
