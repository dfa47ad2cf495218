package supervisor

import (
	"cmp"
	"context"
	"fmt"
	"log/slog"
	"time"

	"github.com/asynkron/protoactor-go/actor"
)

// Strategy supervises the children of actors. It has no state of its own: each actor
// that is supervised by it has a history of its own, which only its own turn touches,
// and which survives its restarts. There are three ways to give it to an actor:
//
//   - actor.PropsFromProducer(newParent, strategy.Supervise): the best, because then it
//     sees the children being spawned, and knows their order;
//   - actor.WithSupervisor(strategy);
//   - embedded in the actor, whose method HandleFailure it then is.
type Strategy struct {
	cfg  Config
	spec *Spec // what it is the strategy of, or nil
	wiring
}

// New returns a strategy. The error names every fault of cfg.
func New(cfg Config, opts ...Option) (*Strategy, error) {
	if err := cfg.Validate(); err != nil {
		return nil, fmt.Errorf("supervisor: %w", err)
	}
	s := &Strategy{cfg: cfg}
	for _, opt := range opts {
		if opt != nil {
			opt(&s.wiring)
		}
	}
	return s, nil
}

// OneForOne restarts a child that fails on its own. It is New with Scope One.
func OneForOne(cfg Config, opts ...Option) (*Strategy, error) {
	cfg.Scope = One
	return New(cfg, opts...)
}

// OneForAll restarts all children if one fails. It is New with Scope All.
func OneForAll(cfg Config, opts ...Option) (*Strategy, error) {
	cfg.Scope = All
	return New(cfg, opts...)
}

// RestForOne restarts a child that fails and those spawned after it. It is New with
// Scope Rest.
func RestForOne(cfg Config, opts ...Option) (*Strategy, error) {
	cfg.Scope = Rest
	return New(cfg, opts...)
}

// Backoff restarts a child that fails after a delay that grows with each failure in a
// row. It never gives up.
func Backoff(cfg BackoffConfig, opts ...Option) (*Strategy, error) {
	if cfg == (BackoffConfig{}) {
		cfg.Base = 100 * time.Millisecond
	}
	return New(Config{Backoff: cfg}, opts...)
}

// CircuitBreaking restarts a child that fails as often as cfg.Intensity says; then it
// keeps the child suspended, lets its mailbox refuse, and tries it again after a while.
func CircuitBreaking(cfg BreakerConfig, opts ...Option) (*Strategy, error) {
	if cfg == (BreakerConfig{}) {
		cfg.Probes = 1
	}
	return New(Config{Breaker: cfg}, opts...)
}

// Config returns what the strategy was made of.
func (s *Strategy) Config() Config { return s.cfg }

// Supervise makes the actors that are spawned from props supervise their children so.
// It is an actor.PropsOption. It adds a spawn middleware to the props.
func (s *Strategy) Supervise(props *actor.Props) {
	actor.WithSupervisor(s)(props)
	actor.WithSpawnMiddleware(s.witness)(props)
	if s.types != nil {
		actor.WithReceiverMiddleware(s.accompany)(props)
	}
}

// witness sees the children being spawned, in their parent's turn.
func (s *Strategy) witness(next actor.SpawnFunc) actor.SpawnFunc {
	return func(system *actor.ActorSystem, id string, props *actor.Props, parent actor.SpawnerContext) (*actor.PID, error) {
		pid, err := next(system, id, props, parent)
		if ctx, ok := parent.(parentContext); ok && err == nil {
			s.safely(system, ctx, func() {
				if n := s.nodeOf(system, ctx, true); n != nil {
					n.spawned(pid, props)
				}
			})
		}
		return pid, err
	}
}

// accompany sees the life of a supervising actor, before the actor itself does.
func (s *Strategy) accompany(next actor.ReceiverFunc) actor.ReceiverFunc {
	return func(c actor.ReceiverContext, env *actor.MessageEnvelope) {
		switch msg := env.Message.(type) {
		case *actor.Started, *actor.Stopping, *actor.Restarting, *actor.Terminated:
			if n := findNode(c.ActorSystem(), c.Self()); n != nil {
				s.safely(n.system, n.parent, func() { n.lives(msg) })
			}
		}
		next(c, env)
	}
}

// HandleFailure decides what becomes of the child, and sees to it. No panic leaves
// it: here that would be the end of the process. It implements
// actor.SupervisorStrategy.
func (s *Strategy) HandleFailure(
	system *actor.ActorSystem, parent actor.Supervisor, child *actor.PID, _ *actor.RestartStatistics, reason, message any,
) {
	if order, ok := reason.(*order); ok {
		s.safely(system, parent, order.carryOut)
		return
	}
	defer func() {
		if r := recover(); r != nil {
			system.Root.Stop(child)
			s.complain(system, parent, "supervision failed: the child is stopped",
				slog.String("child", child.GetId()), slog.Any("reason", reason), slog.Any("cause", r))
		}
	}()
	message, gated := s.answer(system, parent, message)
	if ctx, ok := parent.(parentContext); ok {
		if n := s.nodeOf(system, ctx, false); n != nil {
			n.failed(failed{child, reason, message, gated})
			return
		}
	}
	s.stateless(system, parent, child, reason)
}

// stateless is for what is no actor, such as a guardian: it has no turn, and no place
// for a history, so that nothing is restarted.
func (s *Strategy) stateless(system *actor.ActorSystem, parent actor.Supervisor, child *actor.PID, reason any) {
	if s.verdict(system, parent, child, reason) == Resume {
		parent.ResumeChildren(child)
		return
	}
	parent.StopChildren(child)
	e := GaveUp{
		Name: s.name(parent), Supervisor: idOf(parent), Child: child.GetId(), Reason: reason, Cause: CauseDecided, Directive: Stop, At: time.Now(),
	}
	s.log(system, e.Level(), "supervisor gave up a child: what supervises it is no actor, and has no history", slog.Any("event", e))
	s.publish(system, parent, e)
}

// verdict is what Decide says, and Restart if it cannot be asked.
func (s *Strategy) verdict(system *actor.ActorSystem, parent actor.Supervisor, child *actor.PID, reason any) (d Directive) {
	if s.decide == nil {
		return Restart
	}
	complain := func(what string, cause any) {
		s.complain(system, parent, what, slog.String("child", child.GetId()), slog.Any("reason", reason), slog.Any("cause", cause))
	}
	defer func() {
		if r := recover(); r != nil {
			d = Restart
			complain("Decide panicked: taken for restart", r)
		}
	}()
	if d = s.decide(reason); d > Escalate {
		complain("Decide returned nonsense: taken for restart", d)
		return Restart
	}
	return d
}

// typeOf is what Types says of a child of that name.
func (s *Strategy) typeOf(system *actor.ActorSystem, parent actor.Supervisor, name string) (t RestartType) {
	if s.types == nil {
		return Transient
	}
	defer func() {
		if r := recover(); r != nil {
			t = Transient
			s.complain(system, parent, "Types panicked: taken for transient", slog.String("child", name), slog.Any("cause", r))
		}
	}()
	if t = s.types(name); t > Temporary {
		s.complain(system, parent, "Types returned nonsense: taken for transient", slog.String("child", name), slog.Any("cause", t))
		return Transient
	}
	return t
}

// mine tells this strategy from an actor's own, where it is embedded.
func (s *Strategy) mine() *Strategy { return s }

// name is what events and log entries call the supervising actor.
func (s *Strategy) name(parent actor.Supervisor) string { return cmp.Or(s.cfg.Name, idOf(parent)) }

// idOf returns the id of the supervising actor, or "" if it is none.
func idOf(parent actor.Supervisor) string {
	if ctx, ok := parent.(interface{ Self() *actor.PID }); ok {
		return ctx.Self().GetId()
	}
	return ""
}

// safely runs f, and keeps its panic.
func (s *Strategy) safely(system *actor.ActorSystem, parent actor.Supervisor, f func()) {
	defer func() {
		if r := recover(); r != nil {
			s.complain(system, parent, "supervision failed", slog.Any("cause", r))
		}
	}()
	f()
}

// publish puts event on the EventStream, whose subscribers run right here.
func (s *Strategy) publish(system *actor.ActorSystem, parent actor.Supervisor, event any) {
	defer func() {
		if r := recover(); r != nil {
			s.complain(system, parent, "a subscriber of the EventStream panicked", slog.Any("cause", r))
		}
	}()
	system.EventStream.Publish(event)
}

// complain logs that something else than a child went wrong.
func (s *Strategy) complain(system *actor.ActorSystem, parent actor.Supervisor, what string, attrs ...slog.Attr) {
	s.log(system, slog.LevelError, what, append([]slog.Attr{slog.String("supervisor", s.name(parent))}, attrs...)...)
}

// log logs, and keeps quiet if even that panics.
func (s *Strategy) log(system *actor.ActorSystem, level slog.Level, msg string, attrs ...slog.Attr) {
	defer func() { _ = recover() }()
	cmp.Or(s.logger, system.Logger()).LogAttrs(context.Background(), level, msg, attrs...)
}
