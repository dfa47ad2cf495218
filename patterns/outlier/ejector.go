package outlier

import (
	"context"
	"iter"
	"time"

	"github.com/bulwark-go/bulwark/actors"
	"github.com/bulwark-go/bulwark/patterns"
)

// Ejector is a caller's handle on an outlier actor. Calls that are made by patterns.Do, Wrap
// and pipelines learn from MemberOf whom to call; Choose is for those that are not functions.
// It gives no permits. It is safe for concurrent use. Snapshot, Reconfigure, Inspect, Stop and
// PID are those of actors.Typed and actors.Handle.
type Ejector struct {
	*actors.Typed[Config, Snapshot]
	terms *patterns.Terms
	loads *actors.Loads // by slot
}

// Spawn starts an ejector named name. The error names every bad field of cfg.
func Spawn(guards *actors.Registry, name string, cfg Config, opts ...actors.Option) (*Ejector, error) {
	spec, wrap := specify(cfg)
	return actors.Spawn(guards, name, spec, wrap, opts...)
}

// GetOrSpawn returns the ejector of that name, or starts it. If there is one with another
// Config, or a guard of another pattern, the error is actors.ErrConflict.
func GetOrSpawn(guards *actors.Registry, name string, cfg Config, opts ...actors.Option) (*Ejector, error) {
	spec, wrap := specify(cfg)
	return actors.GetOrSpawn(guards, name, spec, wrap, opts...)
}

// Get returns the ejector of that name, if there is one.
func Get(guards *actors.Registry, name string) (*Ejector, bool) {
	return actors.Find[*Ejector](guards, name)
}

// All iterates over the registry's ejectors in the order of their names.
func All(guards *actors.Registry) iter.Seq2[string, *Ejector] {
	return actors.Each[*Ejector](guards)
}

// Reset brings all members back, and forgets how their calls ended.
func (e *Ejector) Reset(ctx context.Context) error {
	return e.Operate(ctx, patterns.Operation{Kind: patterns.Reset})
}

// specify returns the spec of an actor, and how a handle on it is made. They share the loads.
func specify(cfg Config) (actors.Spec[Config, Snapshot], func(*actors.Typed[Config, Snapshot]) *Ejector) {
	if cfg.Validate() == nil { // a Config that spells its defaults out is the same; a fault names what was given
		cfg = cfg.withDefaults()
	}
	loads := actors.NewLoads(maxMembers)
	spec := actors.Spec[Config, Snapshot]{
		Pattern: pattern, Config: cfg, Validate: cfg.successor, OnFailure: cfg.OnFailure,
		New: func(o actors.Origin) actors.Machine[Config, Snapshot] {
			return counting{NewMachine(Params{Name: o.Name, Origin: o.Time, Now: o.Now, Config: cfg}), loads}
		},
	}
	return spec, func(typed *actors.Typed[Config, Snapshot]) *Ejector {
		e := &Ejector{Typed: typed, loads: loads, terms: new(patterns.Terms)}
		if given := typed.Terms(); given != nil {
			*e.terms = *given
		}
		e.terms.Policy = e
		return e
	}
}

// counting is a Machine that looks up what is under way whenever somebody wants to know.
type counting struct {
	*Machine
	loads *actors.Loads
}

func (c counting) Snapshot(now patterns.Instant, counts patterns.Counts) Snapshot {
	s := c.Machine.Snapshot(now, counts)
	for i, b := range c.members {
		s.Members[i].InFlight = c.loads.Of(b.slot)
	}
	return s
}

// Members returns the names of those that calls are spread over by now. It asks nobody.
func (e *Ejector) Members() []string {
	p := e.Plan().(*plan)
	names := make([]string, len(p.places))
	for i := range p.places {
		names[i] = p.places[i].name
	}
	return names
}

// Terms hands whole calls to the ejector.
func (e *Ejector) Terms() *patterns.Terms { return e.terms }

// Acquire returns patterns.ErrPolicy: an ejector grants no permits.
func (*Ejector) Acquire(context.Context) (patterns.Permit, error) {
	return patterns.Permit{}, patterns.ErrPolicy
}

// AcquireFor returns patterns.ErrPolicy.
func (*Ejector) AcquireFor(context.Context, patterns.Request) (patterns.Permit, error) {
	return patterns.Permit{}, patterns.ErrPolicy
}

// TryAcquire returns patterns.ErrPolicy.
func (*Ejector) TryAcquire() (patterns.Permit, error) { return patterns.Permit{}, patterns.ErrPolicy }

// TryAcquireFor returns patterns.ErrPolicy.
func (*Ejector) TryAcquireFor(patterns.Request) (patterns.Permit, error) {
	return patterns.Permit{}, patterns.ErrPolicy
}

// Choice is a member that a call is to be made to. It is for one goroutine at a time, and
// must be told how the call ended: until then it counts as under way.
type Choice struct {
	of    *Ejector
	at    *place
	ended bool
}

// Choose chooses a member for one call: of those in use about the one with the fewest calls
// under way, in turn if there are several, and within a Spread one that the call has not been
// to if there is one. It asks nobody, and does not wait. The error is ctx's, or a
// *actors.Refusal if the ejector was stopped, or has failed and OnFailure says so.
func (e *Ejector) Choose(ctx context.Context) (*Choice, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	if err := e.Absent(); err != nil {
		return nil, err
	}
	p := e.Plan().(*plan)
	now := patterns.Instant(0)
	if p.out > 0 {
		now = patterns.Instant(time.Since(p.origin))
	}
	been := trailOf(ctx)
	at := p.choose(now, e.loads.Turn(), e.loads, been)
	been.add(at.mark)
	e.loads.Begin(at.slot)
	return &Choice{of: e, at: at}, nil
}

// Member is the name of the member.
func (c *Choice) Member() string { return c.at.name }

// Report says how the call ended: Failure and Dropped are failures, and Ignored, as Release,
// says nothing. The first one counts.
func (c *Choice) Report(o patterns.Outcome) {
	if c.ended {
		return
	}
	c.ended = true
	c.of.loads.End(c.at.slot)
	switch o {
	case patterns.Success:
		_ = c.of.Tell(c.at.good) // what is lost is lost
	case patterns.Failure, patterns.Dropped:
		_ = c.of.Tell(c.at.bad)
	}
}

// Release ends the call without a verdict. It is harmless after Report.
func (c *Choice) Release() { c.Report(patterns.Ignored) }

// Around implements patterns.Policy.
func (e *Ejector) Around(ctx context.Context, call patterns.Call) error {
	c, err := e.Choose(ctx)
	if err != nil {
		return err
	}
	outcome := patterns.Failure // should it unwind
	defer func() { c.Report(outcome) }()
	err = call.Try(context.WithValue(ctx, memberKey{}, c.at.name))
	outcome = patterns.Ignored
	if call.Began() {
		outcome = patterns.JudgeCall(ctx, e.terms.Judge, call, err)
	}
	return err
}
