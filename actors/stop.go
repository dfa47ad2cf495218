package actors

import (
	"context"
	"errors"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/bulwark-go/bulwark/mailbox"
	"github.com/bulwark-go/bulwark/patterns"
)

// Stop stops the guard in order: nothing more is admitted, whoever waits is
// answered, permits in flight may end until ctx does, and then the actor stops and
// its name is free. If permits were left, the error is a *ShutdownError. Stopping a
// guard that has stopped does nothing.
func (h *Handle) Stop(ctx context.Context) error {
	done := h.beginDrain()
	var left *ShutdownError
	select {
	case <-done:
	case <-ctx.Done():
		if n := h.inFlight(); n > 0 {
			left = &ShutdownError{InFlight: map[string]uint64{h.name: n}, Cause: ctx.Err()}
		}
	}
	stopActor(h.shell.system, h.pid)
	h.freeName()
	if left != nil {
		return left
	}
	return nil
}

// beginDrain makes the guard refuse everything; the result is closed when nothing is
// in flight any more, or the guard has stopped.
func (h *Handle) beginDrain() <-chan struct{} {
	h.stopping.Store(true)
	done := make(chan struct{})
	c := newCall().(*call)
	c.kind, c.control = callControl, func() { h.shell.drain(done) }
	if h.shell.mailbox.Post(&c.node, mailbox.Urgent) != nil {
		close(done)
		return done
	}
	answer := make(chan struct{})
	go func() { // if the guard stops before it hears of the drain, nobody closes done
		defer close(answer)
		c.await(context.Background(), false)
		if c.err == nil {
			<-done
		}
	}()
	return answer
}

func (h *Handle) inFlight() (n uint64) {
	result := make(chan uint64, 1)
	if h.control(context.Background(), func() { result <- h.shell.totals().InFlight }) != nil {
		return 0
	}
	return <-result
}

// dead reports whether the guard has stopped, for whatever reason.
func (h *Handle) dead() bool { return h.shell.final.Load() != nil }

// stopActor stops pid and waits until it has stopped. One that is gone already
// counts as stopped.
func stopActor(system *actor.ActorSystem, pid *actor.PID) {
	w := &goneProcess{gone: make(chan struct{}, 1)}
	self, ok := system.ProcessRegistry.Add(w, "watch"+system.ProcessRegistry.NextId())
	if !ok {
		return
	}
	defer system.ProcessRegistry.Remove(self)
	if p, alive := system.ProcessRegistry.Get(pid); alive {
		p.SendSystemMessage(pid, &actor.Watch{Watcher: self})
		p.Stop(pid)
		<-w.gone
	}
}

// goneProcess waits for one Terminated.
type goneProcess struct{ gone chan struct{} }

// SendUserMessage implements actor.Process.
func (*goneProcess) SendUserMessage(*actor.PID, any) {}

// SendSystemMessage implements actor.Process.
func (g *goneProcess) SendSystemMessage(_ *actor.PID, message any) {
	if _, ok := message.(*actor.Terminated); ok {
		select {
		case g.gone <- struct{}{}:
		default:
		}
	}
}

// Stop implements actor.Process.
func (*goneProcess) Stop(*actor.PID) {}

// orderly reports whether the guard was told to stop, or its parent was. Otherwise one
// that has stopped is one that failed for good.
func (h *Handle) orderly() bool { return h.stopping.Load() || h.shell.orderly.Load() }

// gone is the error of a command that reaches no actor.
func (h *Handle) gone() error {
	if h.orderly() {
		return &h.shell.refusals().stopped
	}
	return &h.shell.refusals().unavailable
}

// away is what callers get once there is no actor.
func (h *Handle) away() (patterns.Permit, error) {
	switch {
	case h.orderly():
		return patterns.Permit{}, h.terms.Rejected(&h.shell.refusals().stopped)
	case h.shell.policy == patterns.FailClosed:
		return patterns.Permit{}, h.terms.Rejected(&h.shell.refusals().unavailable)
	}
	h.unguarded.Add(1)
	return patterns.NewPermit(h, 0, 0), nil
}

func (h *Handle) unposted(err error) (patterns.Permit, error) {
	if errors.Is(err, mailbox.ErrStopped) {
		return h.away()
	}
	return patterns.Permit{}, h.terms.Rejected(h.shell.refusals().of(err))
}
