package supervisor

import (
	"cmp"
	"context"
	"log/slog"

	"github.com/asynkron/protoactor-go/actor"
)

// failure is one failure of a child, as proto.actor reports it.
type failure struct {
	system          *actor.ActorSystem
	parent          actor.Supervisor // the supervising actor's context
	child           *actor.PID
	reason, message any
}

// lineage is what the context of a supervising actor says besides actor.Supervisor.
// Guardians have none.
type lineage interface {
	Self() *actor.PID
	Parent() *actor.PID
}

// supervisor returns the id of the supervising actor.
func (f failure) supervisor() string {
	if l, ok := f.parent.(lineage); ok {
		return l.Self().GetId()
	}
	return ""
}

// event is what proto.actor's own strategies publish when they decide.
func (f failure) event(d actor.Directive) *actor.SupervisorEvent {
	return &actor.SupervisorEvent{Child: f.child, Reason: f.reason, Directive: d}
}

// name is what events and log entries call the supervising actor.
func (s *oneForOne) name(f failure) string { return cmp.Or(s.cfg.Name, f.supervisor()) }

// handUp makes the supervising actor fail with reason, and reports whether there was
// somebody above to take that.
func (s *oneForOne) handUp(f failure, reason any) (ok bool) {
	l, isActor := f.parent.(lineage)
	if !isActor || l.Parent() == nil {
		return false
	}
	defer func() {
		if r := recover(); r != nil {
			// EscalateFailure suspends the actor before it tells the parent.
			f.parent.ResumeChildren(l.Self())
			s.complain(f, "handing a failure up panicked", r)
		}
	}()
	f.parent.EscalateFailure(reason, f.message)
	return true
}

// publish puts event on the EventStream, whose subscribers run right here.
func (s *oneForOne) publish(f failure, event any) {
	defer func() {
		if r := recover(); r != nil {
			s.complain(f, "a subscriber of the EventStream panicked", r)
		}
	}()
	f.system.EventStream.Publish(event)
}

// complain logs that something else than the child went wrong.
func (s *oneForOne) complain(f failure, what string, r any) {
	s.log(f, slog.LevelError, what,
		slog.String("supervisor", s.name(f)), slog.String("child", f.child.GetId()), slog.Any("reason", f.reason), slog.Any("cause", r))
}

// log logs, and keeps quiet if even that panics.
func (s *oneForOne) log(f failure, level slog.Level, msg string, attrs ...slog.Attr) {
	defer func() { _ = recover() }()
	cmp.Or(s.logger, f.system.Logger()).LogAttrs(context.Background(), level, msg, attrs...)
}
