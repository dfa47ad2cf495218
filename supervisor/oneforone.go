package supervisor

import (
	"fmt"
	"log/slog"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/bulwark-go/bulwark/patterns"
	"github.com/bulwark-go/bulwark/supervisor/intensity"
)

// OneForOne makes actors supervise their children: a child that fails is restarted
// on its own, as often as cfg.Intensity allows for all children of that actor
// together; then the failure is handed up.
//
// It is an option for actor.Props and not an actor.SupervisorStrategy so that each
// actor spawned from the same props gets a history of its own, which only its own
// turn touches. That takes the spawn function of the props. One given before is
// replaced; if another one is given after, so that there is no history, restarts are
// refused and the log says why. It may be given to any number of props.
func OneForOne(cfg Config, opts ...Option) (actor.PropsOption, error) {
	if err := cfg.Validate(); err != nil {
		return nil, fmt.Errorf("supervisor: %w", err)
	}
	var w wiring
	for _, opt := range opts {
		opt(&w)
	}
	each := perActor(func() actor.SupervisorStrategy {
		return &oneForOne{cfg: cfg, wiring: w, origin: time.Now()}
	})
	return func(props *actor.Props) {
		each(props)
		actor.WithSupervisor(detached{cfg.Name, w})(props)
	}, nil
}

// perActor is an option that gives each actor spawned a strategy of its own.
func perActor(produce func() actor.SupervisorStrategy) actor.PropsOption {
	return actor.WithSpawnFunc(func(
		system *actor.ActorSystem, id string, props *actor.Props, parent actor.SpawnerContext,
	) (*actor.PID, error) {
		// Not props.Clone(), which would install empty middleware chains: 40 ns a message.
		own := *props
		actor.WithSupervisor(produce())(&own)
		return actor.DefaultSpawner(system, id, &own, parent)
	})
}

// detached is what actors have that were spawned by somebody else's spawn function. It
// has no state, because they share it.
type detached struct {
	name string
	wiring
}

// HandleFailure does what Decide says, except that nothing is restarted.
func (d detached) HandleFailure(
	system *actor.ActorSystem, parent actor.Supervisor, child *actor.PID, rs *actor.RestartStatistics, reason, message any,
) {
	never := Config{Name: d.name, Intensity: intensity.Config{Restarts: intensity.Never}}
	s := &oneForOne{cfg: never, wiring: d.wiring, origin: time.Now()}
	s.complain(failure{system: system, parent: parent, child: child, reason: reason},
		"no restarts: another spawn function replaced the one of supervisor.OneForOne", "actor.WithSpawnFunc")
	s.HandleFailure(system, parent, child, rs, reason, message)
}

// oneForOne supervises the children of one actor, in that actor's turn.
type oneForOne struct {
	cfg Config
	wiring
	origin time.Time // of the clock

	history *intensity.Machine // nil until there is a restart to count
}

// HandleFailure decides what becomes of the child, and sees to it. No panic leaves
// it: here that would be the end of the process.
func (s *oneForOne) HandleFailure(
	system *actor.ActorSystem, parent actor.Supervisor, child *actor.PID, _ *actor.RestartStatistics, reason, message any,
) {
	f := failure{system: system, parent: parent, child: child, reason: reason, message: message}
	defer func() {
		if r := recover(); r != nil {
			system.Root.Stop(child)
			s.complain(f, "supervision failed: the child is stopped", r)
		}
	}()
	switch s.verdict(f) {
	case Stop:
		parent.StopChildren(child)
		s.publish(f, f.event(actor.StopDirective))
	case Resume:
		parent.ResumeChildren(child)
		s.publish(f, f.event(actor.ResumeDirective))
	case Escalate:
		s.giveUp(f, CauseDecided, reason)
	default:
		if !s.allows() {
			s.giveUp(f, CauseIntensity, s.tooMany(f))
			return
		}
		parent.RestartChildren(child)
		s.publish(f, f.event(actor.RestartDirective))
	}
}

// verdict is what Decide says, and Restart if it cannot be asked.
func (s *oneForOne) verdict(f failure) (d Directive) {
	if s.decide == nil {
		return Restart
	}
	defer func() {
		if r := recover(); r != nil {
			d = Restart
			s.complain(f, "Decide panicked: taken for restart", r)
		}
	}()
	if d = s.decide(f.reason); d > Escalate {
		s.complain(f, "Decide returned nonsense: taken for restart", d)
		return Restart
	}
	return d
}

// allows counts a restart, and reports whether it may happen.
func (s *oneForOne) allows() bool {
	if s.history == nil {
		s.history = intensity.New(s.cfg.Intensity)
	}
	return s.history.Restart(patterns.Instant(time.Since(s.origin)))
}

// tooMany is the reason to hand up once allows refused.
func (s *oneForOne) tooMany(f failure) error {
	restarts, period := s.history.Limit()
	return &TooManyRestartsError{
		Supervisor: s.name(f), Child: f.child.GetId(), Restarts: restarts, Period: period, Reason: f.reason,
	}
}

// giveUp stops the child and hands the failure up, for the given reason, if there is
// somebody above who takes it.
func (s *oneForOne) giveUp(f failure, cause Cause, reason any) {
	f.parent.StopChildren(f.child)
	e := GaveUp{
		Name: s.name(f), Supervisor: f.supervisor(), Child: f.child.GetId(),
		Reason: f.reason, Cause: cause, Directive: Stop, At: time.Now(),
	}
	if s.handUp(f, reason) {
		s.history = nil // what the parent starts next starts anew
		e.Directive = Escalate
	}
	s.log(f, e.Level(), "supervisor gave up a child", slog.Any("event", e))
	s.publish(f, e)
}
