package mailbox

import (
	"context"

	"github.com/asynkron/protoactor-go/actor"
)

// whoIs is a system message that only a mailbox of this package understands: it says who
// it is on the spot.
type whoIs struct{ box *box }

// find returns the box of an actor's mailbox. The error is ErrStopped if there is no such
// actor.
func find(from From, pid *actor.PID) (*box, error) {
	system := from.ActorSystem()
	if pid == nil || pid.Address != system.Address() {
		return nil, ErrForeign
	}
	p, ok := system.ProcessRegistry.GetLocal(pid.Id)
	if !ok {
		return nil, ErrStopped
	}
	if _, ok := p.(*actor.ActorProcess); !ok {
		return nil, ErrForeign
	}
	who := &whoIs{}
	p.SendSystemMessage(pid, who)
	if who.box == nil {
		return nil, ErrForeign
	}
	return who.box, nil
}

// Pause makes an actor serve no messages until Resume, system messages excepted: it can be
// stopped, and restarted. What is sent meanwhile is queued, within the bounds of its
// mailbox. The message under way is finished. It does not matter how often it is called.
//
// Pause, Resume, Close and StatsOf may be called on any goroutine; their error is
// ErrForeign or ErrStopped.
func Pause(from From, pid *actor.PID) error {
	b, err := find(from, pid)
	if err == nil {
		b.m.word.Or(paused)
	}
	return err
}

// Resume ends what Pause began. An actor that its supervisor has suspended stays so.
func Resume(from From, pid *actor.PID) error {
	b, err := find(from, pid)
	if err == nil {
		b.m.word.And(^paused)
		b.m.announce(0)
	}
	return err
}

// Close makes an actor's mailbox refuse all that is queued, and all that comes, with
// ErrClosed, for good. Control, replies, system messages and poison pills still pass: the
// actor lives until it is stopped.
func Close(from From, pid *actor.PID) error {
	b, err := find(from, pid)
	if err == nil {
		b.m.word.Or(closed)
		b.reshut()
		b.m.PostSystemMessage(purge{})
	}
	return err
}

// StatsOf returns the statistics of an actor's mailbox as of a moment when no turn runs:
// it waits for the message under way. An actor that asks for its own, in its turn, waits
// until ctx ends, whose error is returned then.
func StatsOf(ctx context.Context, from From, pid *actor.PID) (Stats, error) {
	b, err := find(from, pid)
	if err != nil {
		return Stats{}, err
	}
	reply := make(chan Stats, 1)
	b.m.PostSystemMessage(statsRequest{reply})
	select {
	case s := <-reply:
		return s, nil
	case <-ctx.Done():
		return Stats{}, ctx.Err()
	}
}
