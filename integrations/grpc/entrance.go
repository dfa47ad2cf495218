package grpcguard

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/peer"

	"github.com/bulwark-go/bulwark/integrations/internal/clientip"
	"github.com/bulwark-go/bulwark/integrations/internal/keys"
	"github.com/bulwark-go/bulwark/integrations/internal/paths"
	"github.com/bulwark-go/bulwark/integrations/internal/precedence"
	"github.com/bulwark-go/bulwark/patterns"
)

// pattern is what errors about options call this package.
const pattern = "grpcguard"

// health is excluded by default: whoever asks how the service is wants to know it when it is
// overloaded.
const health = "/grpc.health.v1.Health/..."

// settings are what the options say.
type settings struct {
	exclude    []string
	idempotent []string
	keys       []KeyFunc // nil is the client
	weight     func(context.Context, Call) int
	outcomes   table
	proxies    Proxies
	priority   Priorities
	need       time.Duration
	recover    func(context.Context, Call, any) error
	domain     string
	send       string
	faults     []error
}

func (s *settings) fault(ok bool, field string, value any, problem string) {
	if !ok {
		s.faults = append(s.faults, &patterns.ConfigError{Pattern: pattern, Field: field, Value: value, Problem: problem})
	}
}

// entrance is all that is decided before a guard is asked, and how calls are judged.
type entrance struct {
	server     bool // and else a client
	guards     guards
	exclude    *paths.Set
	idempotent methods
	keys       []KeyFunc
	weight     func(context.Context, Call) int
	outcomes   table
	clients    *clientip.Resolver
	priority   *precedence.Rules
	need       time.Duration
	recover    func(context.Context, Call, any) error
	domain     string
	send       string
}

// newEntrance returns what options say. The error names every fault.
func newEntrance(g patterns.Guard, server bool, opts func(*settings)) (*entrance, error) {
	s := settings{exclude: []string{health}, outcomes: standard(), domain: "bulwark", send: DefaultPriorityKey}
	opts(&s)
	everything := slices.Contains(s.idempotent, "/...")
	named := slices.DeleteFunc(slices.Clone(s.idempotent), func(m string) bool { return m == "/..." })
	faults := slices.Concat(s.faults, paths.Faults(pattern, "Exclude", s.exclude), paths.Faults(pattern, "Idempotent", named),
		s.proxies.Faults(pattern, "Proxies"), s.priority.Faults(pattern, "Priorities"))
	if g == nil {
		faults = append(faults, fmt.Errorf("grpcguard: %w", patterns.ErrNilGuard))
	}
	if len(faults) > 0 {
		return nil, errors.Join(faults...)
	}
	e := &entrance{
		server: server, guards: guardsOf(g), keys: s.keys, weight: s.weight, outcomes: s.outcomes, need: s.need, recover: s.recover,
		domain: s.domain, send: s.send,
	}
	var errs [4]error
	e.exclude, errs[0] = paths.New(s.exclude)
	e.idempotent.all = everything
	e.idempotent.named, errs[1] = paths.New(named)
	e.clients, errs[2] = clientip.New(s.proxies)
	e.priority, errs[3] = precedence.New(s.priority)
	return e, errors.Join(errs[:]...)
}

func ofServer(g patterns.Guard, opts []ServerOption) (*entrance, error) {
	return newEntrance(g, true, func(s *settings) {
		for _, opt := range opts {
			if opt != nil {
				opt.server(s)
			}
		}
	})
}

func ofClient(g patterns.Guard, opts []ClientOption) (*entrance, error) {
	return newEntrance(g, false, func(s *settings) {
		for _, opt := range opts {
			if opt != nil {
				opt.client(s)
			}
		}
	})
}

// excludes reports whether nobody is asked about calls of a method.
func (e *entrance) excludes(method string) bool { return e.exclude.Has(method, "") }

// ask returns what a guard is asked for, and ctx, with the call's priority in it if the
// metadata was read. An error is a refusal.
func (e *entrance) ask(ctx context.Context, c Call) (context.Context, patterns.Request, error) {
	var q patterns.Request
	if e.need > 0 {
		if by, ok := ctx.Deadline(); ok {
			if left := time.Until(by); left < e.need {
				return ctx, q, &TimeError{Left: left, Need: e.need}
			}
		}
	}
	if len(e.keys) > 0 {
		q.Key = e.key(ctx, c)
	}
	if e.weight != nil {
		q.Weight = e.weight(ctx, c)
	}
	name := e.priority.Header()
	if name == "" {
		q.Priority, _ = precedence.From(ctx)
		return ctx, q, nil
	}
	var from netip.Addr
	if e.priority.Capped() {
		from = e.from(ctx)
	}
	q.Priority = e.priority.Of(first(metadata.ValueFromIncomingContext(ctx, name)), from)
	return precedence.With(ctx, q.Priority), q, nil
}

func (e *entrance) key(ctx context.Context, c Call) string {
	if len(e.keys) == 1 {
		return keys.Bound(e.part(0, ctx, c))
	}
	parts := make([]string, len(e.keys))
	for i := range e.keys {
		parts[i] = e.part(i, ctx, c)
	}
	return keys.Bound(keys.Join(parts...))
}

//nolint:revive // a context is not what this is about
func (e *entrance) part(i int, ctx context.Context, c Call) string {
	if by := e.keys[i]; by != nil {
		return by(ctx, c)
	}
	return clientip.Key(e.from(ctx))
}

// from is the address of the client whose call ctx is of.
func (e *entrance) from(ctx context.Context) netip.Addr {
	p, ok := peer.FromContext(ctx)
	if !ok || p.Addr == nil {
		return netip.Addr{}
	}
	return e.clients.Of(p.Addr.String(), came{ctx})
}

// came is the metadata that came with a call.
type came struct{ ctx context.Context }

// Values implements clientip.Source.
func (m came) Values(name string) []string { return metadata.ValueFromIncomingContext(m.ctx, name) }

// acquire asks a guard.
func acquire(ctx context.Context, g patterns.Guard, q *patterns.Request) (patterns.Permit, error) {
	if *q == (patterns.Request{}) {
		return g.Acquire(ctx)
	}
	return g.AcquireFor(ctx, *q)
}

// judge returns what a call that returned v and err under ctx means to a guard with these
// terms. The guard's own Judge sees errors only of what the table calls a failure, as it does
// behind policies.
func (e *entrance) judge(ctx context.Context, terms *patterns.Terms, v any, err error) patterns.Outcome {
	o := e.outcomes.of(ctx, e.server, err)
	if terms == nil || terms.Judge == nil || o == patterns.Ignored {
		return o
	}
	if err != nil && o == patterns.Success {
		v, err = &Answer{Err: err}, nil
	}
	return patterns.JudgeCall(ctx, terms.Judge, ended{v}, err)
}

// ended is a call that is over, for a Judge to look at.
type ended struct{ result any }

func (ended) Request() *patterns.Request { return new(patterns.Request) }
func (ended) Try(context.Context) error  { return errSpent }
func (ended) Began() bool                { return true }
func (c ended) Result() any              { return c.result }
func (ended) Give(any) error             { return errSpent }
func (c ended) Fork() patterns.Call      { return c }
func (ended) Adopt(patterns.Call)        {}

// must is for options that are written in the program.
func must[T any](v T, err error) T {
	if err != nil {
		panic(fmt.Errorf("grpcguard: %w", err))
	}
	return v
}

// table is what codes mean, by their number.
type table [codes.Unauthenticated + 1]patterns.Outcome
