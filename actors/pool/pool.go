package pool

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/bulwark-go/bulwark/actors"
	"github.com/bulwark-go/bulwark/mailbox"
	"github.com/bulwark-go/bulwark/patterns"
	"github.com/bulwark-go/bulwark/patterns/circuitbreaker"
	"github.com/bulwark-go/bulwark/supervisor"
)

// An Option wires a pool.
type Option func(*wiring)

type wiring struct{ judge *patterns.Judge }

// WithJudge sets how members are judged by their replies: an error that is replied is
// judged as an error, any other reply as a result. Default: patterns.Classify.
func WithJudge(rules ...patterns.Rule) Option {
	return func(w *wiring) { w.judge = patterns.NewJudge(rules...) }
}

// Pool is a router and its members. It is safe for concurrent use.
type Pool struct {
	name     string
	system   *actor.ActorSystem
	pid      *actor.PID
	breakers []*circuitbreaker.Breaker
}

// Spawn starts a pool of actors that are made from props, as children of the router,
// which supervises and replaces them. The breakers of its members are called name/1,
// name/2 and so on, as the members are. Give the props a mailbox of package mailbox, so
// that requests are answered whatever becomes of a member. The error names every fault.
func Spawn(guards *actors.Registry, name string, props *actor.Props, cfg Config, opts ...Option) (*Pool, error) {
	faults := []error{named(name), cfg.Validate()}
	if props == nil {
		faults = append(faults, ErrNoProps)
	}
	if err := errors.Join(faults...); err != nil {
		return nil, err
	}
	cfg = cfg.withDefaults()
	members := make([]*member, cfg.Size)
	for i := range members {
		members[i] = &member{name: strconv.Itoa(i + 1)}
	}
	return start(guards, name, &router{props: props, cfg: cfg, members: members}, opts)
}

// Group starts a pool of actors that exist already. One that stops leaves it for good.
// Their breakers are called name/ and the id of the actor, with its address, if that is
// another node's. The error names every fault.
func Group(guards *actors.Registry, name string, pids []*actor.PID, cfg Config, opts ...Option) (*Pool, error) {
	faults := []error{named(name), cfg.Validate()}
	if cfg.Size != 0 {
		faults = append(faults, &patterns.ConfigError{Pattern: "pool", Field: "Size", Value: cfg.Size, Problem: "must not be given to a group"})
	}
	members, seen := make([]*member, len(pids)), map[string]bool{}
	bad := len(pids) == 0 || len(pids) > MaxSize
	for i, pid := range pids {
		key := pid.GetAddress() + "/" + pid.GetId()
		bad = bad || pid == nil || seen[key]
		seen[key] = true
		members[i] = &member{name: pid.GetId(), pid: pid}
		if guards != nil && pid.GetAddress() != guards.System().Address() {
			members[i].name = key
		}
	}
	if bad {
		faults = append(faults, fmt.Errorf("%w: %v", ErrMembers, pids))
	}
	if err := errors.Join(faults...); err != nil {
		return nil, err
	}
	return start(guards, name, &router{cfg: cfg.withDefaults(), members: members}, opts)
}

func named(name string) error {
	if strings.TrimSpace(name) == "" || strings.Contains(name, "/") {
		return fmt.Errorf("%w: %q", ErrName, name)
	}
	return nil
}

// start gives each member its breaker, and starts the router.
func start(guards *actors.Registry, name string, r *router, opts []Option) (_ *Pool, err error) {
	if guards == nil {
		return nil, actors.ErrNilRegistry
	}
	var w wiring
	for _, o := range opts {
		if o != nil {
			o(&w)
		}
	}
	p := &Pool{name: name, system: guards.System()}
	defer func() {
		if err != nil {
			p.stopBreakers(context.Background())
		}
	}()
	for _, m := range r.members {
		b, err := circuitbreaker.Spawn(guards, name+"/"+m.name, r.cfg.Breaker)
		if err != nil {
			return nil, err
		}
		p.breakers = append(p.breakers, b)
		m.guard(b, w.judge)
	}
	strategy, err := supervisor.New(r.cfg.Supervision)
	if err != nil {
		return nil, err
	}
	r.init(name)
	p.pid, err = guards.System().Root.SpawnNamed(actor.PropsFromProducer(func() actor.Actor { return r },
		actor.WithMailbox(mailbox.Producer(mailbox.Config{})), strategy.Supervise), name)
	if err != nil {
		return nil, fmt.Errorf("pool: %q: %w", name, err)
	}
	return p, nil
}

// Name returns the pool's name.
func (p *Pool) Name() string { return p.name }

// PID is where requests to the pool are sent.
func (p *Pool) PID() *actor.PID { return p.pid }

// Snapshot returns how the pool is. It waits for the router's turn; the error is ctx's, or
// actors.ErrUnavailable if the pool has stopped.
func (p *Pool) Snapshot(ctx context.Context) (Snapshot, error) {
	return actors.Ask[Snapshot](ctx, p.system, p.pid, Inspect{})
}

// Stop stops the pool in good order: nothing more is passed on, members that the pool has
// spawned serve what they have, and stop; then the router does, which answers whoever
// still waits, and the breakers. When ctx ends, whoever is left is stopped at once, and
// the error is a *supervisor.DrainError. Stopping a pool that has stopped does nothing.
func (p *Pool) Stop(ctx context.Context) error {
	_, err := actors.Ask[actors.Ack](ctx, p.system, p.pid, closing{})
	if !errors.Is(err, actors.ErrUnavailable) {
		err = supervisor.Drain(ctx, p.system, p.pid)
	} else {
		err = nil
	}
	p.stopBreakers(ctx)
	return err
}

func (p *Pool) stopBreakers(ctx context.Context) {
	for _, b := range p.breakers {
		_ = b.Stop(ctx) // what is left is nobody's: the router is gone
	}
}
