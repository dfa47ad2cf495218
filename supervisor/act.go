package supervisor

import (
	"fmt"
	"log/slog"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/bulwark-go/bulwark/mailbox"
	"github.com/bulwark-go/bulwark/supervisor/rules"
)

// carryOut does what the machine decided, and announces it afterwards: subscribers may
// take their time.
func (n *node) carryOut() {
	if n.busy { // the one below does it
		return
	}
	n.busy = true
	var news []func()
	for effects := n.machine.Effects(); len(effects) > 0; effects = n.machine.Effects() {
		for _, e := range effects {
			if tell := n.act(e); tell != nil {
				news = append(news, tell)
			}
		}
	}
	n.busy = false
	n.forget()
	n.wake()
	for _, tell := range news {
		tell()
	}
}

// act does one thing, and returns what announces it.
func (n *node) act(e rules.Effect) (tell func()) {
	m := n.members[e.Child]
	switch e.Do {
	case rules.DoSettle:
		n.order(func() { n.machine.Settled(e.Barrier) }, nil)
		return nil
	case rules.DoGroup:
		event := ChildrenChanged{
			Name: n.strategy.name(n.parent), Supervisor: n.self.Id, From: e.From, To: e.To, Cause: e.Cause, Until: n.wall(e.Until), At: time.Now(),
		}
		return func() { n.publish(event, "supervised children changed") }
	}
	if m == nil {
		return nil
	}
	switch e.Do {
	case rules.DoChanged:
		return n.changed(m, e)
	case rules.DoRestart:
		n.tell(m, n.parent.RestartChildren)
		return n.restarted(m)
	case rules.DoSpawn:
		if n.respawn(m) {
			return n.restarted(m)
		}
	case rules.DoResume:
		n.tell(m, n.parent.ResumeChildren)
		return n.decided(m, actor.ResumeDirective)
	case rules.DoStop:
		n.tell(m, n.parent.StopChildren)
		return n.decided(m, actor.StopDirective)
	case rules.DoSuspend:
		n.post(m, &actor.SuspendMailbox{})
	case rules.DoShut, rules.DoProbe:
		away := &AwayError{Child: m.pid.Id, State: e.To, Cause: e.Cause, RetryAt: n.wall(e.Until)}
		n.post(m, mailbox.Gate{Refuse: away, Pass: e.Pass, Tell: n.pid, ID: e.Probe})
	case rules.DoOpen:
		n.post(m, mailbox.Gate{})
	case rules.DoGiveUp:
		return n.giveUp(m, e.Cause)
	}
	return nil
}

// changed announces a state.
func (n *node) changed(m *member, e rules.Effect) func() {
	if e.To == Stopped {
		n.ended = append(n.ended, m)
	}
	event := ChildChanged{
		Name: n.strategy.name(n.parent), Supervisor: n.self.Id, Child: m.pid.Id,
		From: e.From, To: e.To, Cause: e.Cause, Reason: m.reason(), Until: n.wall(e.Until), At: time.Now(),
	}
	return func() { n.publish(event, "supervised child changed") }
}

func (n *node) restarted(m *member) func() {
	s, _ := n.machine.Status(m.id)
	event := ChildRestarted{
		Name: n.strategy.name(n.parent), Supervisor: n.self.Id, Child: m.pid.Id, Reason: m.reason(), Restarts: s.Restarts, At: time.Now(),
	}
	announce := n.decided(m, actor.RestartDirective)
	return func() {
		n.publish(event, "supervised child restarted")
		announce()
	}
}

// decided announces a decision as proto.actor's own strategies do.
func (n *node) decided(m *member, d actor.Directive) func() {
	event := &actor.SupervisorEvent{Child: m.pid, Reason: m.reason(), Directive: d}
	return func() { n.strategy.publish(n.system, n.parent, event) }
}

// reason is what the child panicked with last.
func (m *member) reason() any {
	if len(m.failures) == 0 {
		return nil
	}
	return m.failures[len(m.failures)-1].Reason
}

// post sends the child a message for its mailbox.
func (n *node) post(m *member, msg any) {
	if m.process != nil {
		m.process.SendSystemMessage(m.pid, msg)
	}
}

// tell tells the child what to do.
//
// proto.actor forgets that a child stops if it is told to restart meanwhile, and a child
// that panicked while it stops does not go on with it by itself. Mailboxes of ours take
// care of both. For others: who watches a stopping actor is told at once that it is
// gone, and so the prober, a watcher whom nothing else is told, learns of it in time.
func (n *node) tell(m *member, what func(...*actor.PID)) {
	if !m.ours {
		n.post(m, &actor.Watch{Watcher: n.prober})
	}
	what(m.pid)
}

// wasStopping says that the child was, when it was told something, or that it is gone. In
// a new life it stops as it should.
func (n *node) wasStopping(who *actor.PID) {
	m := n.member(who)
	if m == nil || m.ours || !n.registered(m) {
		return
	}
	n.parent.RestartChildren(m.pid)
	n.parent.StopChildren(m.pid)
}

// maxStops is how often a child may fail while it stops.
const maxStops = 3

// failedToStop finishes the stop of a child that panicked on Stopping or Stopped, and
// reports whether that, or the end of the child, is what happened. Mailboxes of ours
// never report such a failure.
func (n *node) failedToStop(m *member, f failed) bool {
	registered := n.registered(m)
	stopping := false
	switch f.message.(type) {
	case *actor.Stop:
		stopping = true
	case *actor.Terminated: // of its last child
		stopping = !registered
	}
	if m.ours || !stopping {
		return !registered // then its Terminated is on its way
	}
	if m.stops++; registered && m.stops <= maxStops {
		n.parent.RestartChildren(m.pid)
		n.parent.StopChildren(m.pid)
		return true
	}
	n.strategy.complain(n.system, n.parent, "a child panicked while it stopped: it counts as stopped",
		slog.String("child", m.pid.Id), slog.Any("reason", f.reason))
	if registered {
		n.system.ProcessRegistry.Remove(m.pid)
	}
	n.post(m, &actor.SuspendMailbox{}) // which it is not, as its PID leads nowhere
	// Its parent would wait for this for ever. Who else watches it is lost to it.
	n.process.SendSystemMessage(n.self, &actor.Terminated{Who: m.pid})
	if !n.accompanied {
		n.gone(m)
	}
	return true
}

// registered reports whether the child's process is still there, and its own.
func (n *node) registered(m *member) bool {
	p, ok := n.system.ProcessRegistry.Get(m.pid)
	return ok && (m.process == nil || p == m.process)
}

// respawn spawns the child anew under its name.
func (n *node) respawn(m *member) (ok bool) {
	var reason any
	func() {
		n.spawning = m
		defer func() {
			n.spawning = nil
			if r := recover(); r != nil {
				reason = r
			}
		}()
		if _, err := n.parent.SpawnNamed(m.props, m.name); err != nil {
			reason = err
		}
	}()
	if reason == nil {
		return true
	}
	m.note(reason, "spawn")
	n.machine.Failed(n.now(), rules.Failure{
		Child: m.id, Verdict: n.strategy.verdict(n.system, n.parent, m.pid, reason), Unspawned: true,
	})
	return false
}

// giveUp hands the failure of a child, which was stopped, up, if there is somebody above
// who takes it.
func (n *node) giveUp(m *member, cause Cause) func() {
	s := n.strategy
	reason := m.reason()
	if cause == CauseIntensity {
		restarts, period := n.machine.Limit()
		reason = &TooManyRestartsError{
			Supervisor: s.name(n.parent), Child: m.pid.Id, Restarts: restarts, Period: period, Reason: reason,
		}
	}
	e := GaveUp{
		Name: s.name(n.parent), Supervisor: n.self.Id, Child: m.pid.Id,
		Reason: m.reason(), Cause: cause, Directive: Stop, At: time.Now(),
	}
	if n.handUp(reason) {
		n.machine.HandedUp()
		e.Directive = Escalate
	} else if s.cfg.AtTop == StopSelf {
		n.system.Root.Stop(n.self)
	}
	return func() { n.publish(e, "supervisor gave up a child") }
}

// handUp makes the supervising actor fail with reason, and reports whether there was
// somebody above to take that.
func (n *node) handUp(reason any) (ok bool) {
	if n.parent.Parent() == nil {
		return false
	}
	defer func() {
		if r := recover(); r != nil {
			// EscalateFailure suspends the actor before it tells the parent.
			n.parent.ResumeChildren(n.self)
			n.strategy.complain(n.system, n.parent, "handing a failure up panicked", slog.Any("cause", r))
		}
	}()
	n.parent.EscalateFailure(reason, nil) // whoever sent the message was answered
	return true
}

// typeName is the type of a message, within its envelope.
func typeName(msg any) string {
	return fmt.Sprintf("%T", actor.UnwrapEnvelopeMessage(msg))
}
