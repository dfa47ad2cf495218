package supervisor

import (
	"context"
	"strings"

	"github.com/asynkron/protoactor-go/actor"
)

// Release restarts a child that waits, whatever it waits for, but for its siblings and
// the budget: it is how a quarantine ends. What the strategy knew against the child is
// forgotten. The error is ErrNotSupervised, ErrNotWaiting, or ctx's.
//
// Release waits for the turn of the supervising actor, and must not be called in it.
func Release(ctx context.Context, system *actor.ActorSystem, child *actor.PID) error {
	return operate(ctx, system, child, func(n *node, m *member) error {
		if !n.machine.Release(n.now(), m.id) {
			return ErrNotWaiting
		}
		return nil
	})
}

// Dismiss stops a child for good, also if it is Permanent, or suspended. It returns
// when the child was told; the error is ErrNotSupervised, or ctx's.
//
// Dismiss waits for the turn of the supervising actor, and must not be called in it.
func Dismiss(ctx context.Context, system *actor.ActorSystem, child *actor.PID) error {
	return operate(ctx, system, child, func(n *node, m *member) error {
		n.machine.Dismiss(n.now(), m.id)
		return nil
	})
}

// operate has do called in the turn of the actor that supervises child.
func operate(ctx context.Context, system *actor.ActorSystem, child *actor.PID, do func(*node, *member) error) error {
	n := supervisorOf(system, child.GetId())
	if n == nil {
		return ErrNotSupervised
	}
	done := make(chan error, 1)
	n.order(func() {
		m := n.byName[child.Id]
		if m == nil {
			done <- ErrNotSupervised
			return
		}
		done <- do(n, m)
	}, func() { done <- ErrNotSupervised })
	select {
	case err := <-done:
		return err
	case <-ctx.Done():
		return ctx.Err()
	}
}

// supervisorOf returns the node of the actor that an actor of that id is a child of, or
// nil. Names may have slashes in them.
func supervisorOf(system *actor.ActorSystem, id string) *node {
	for end := strings.LastIndexByte(id, '/'); end > 0; end = strings.LastIndexByte(id[:end], '/') {
		if p, ok := system.ProcessRegistry.GetLocal(id[:end] + nodeSuffix); ok {
			if n, ok := p.(*node); ok {
				return n
			}
		}
	}
	return nil
}
