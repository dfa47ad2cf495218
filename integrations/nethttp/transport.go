package nethttp

import (
	"context"
	"errors"
	"io"
	"net/http"

	"github.com/bulwark-go/bulwark/integrations/internal/keys"
	"github.com/bulwark-go/bulwark/integrations/internal/precedence"
	"github.com/bulwark-go/bulwark/patterns"
)

// Transport puts a client's requests behind a guard: any pattern, a pipeline of several, or
// PerHost. base makes the requests; nil is http.DefaultTransport. It panics if there is no
// guard, or an option is wrong; NewTransport does not.
//
//	client := &http.Client{Transport: nethttp.Transport(nil, bank)}
//
// A status of 500 or more, and 429, is a failure to the guard, and what the client gets of it
// is still a response, its body intact. The transport is safe for concurrent use.
func Transport(base http.RoundTripper, g patterns.Guard, opts ...TransportOption) http.RoundTripper {
	return must(NewTransport(base, g, opts...))
}

// NewTransport is Transport for options that may be wrong. The error names every fault.
func NewTransport(base http.RoundTripper, g patterns.Guard, opts ...TransportOption) (http.RoundTripper, error) {
	s := transportSettings{idempotent: isIdempotent, hold: holds, drainFor: drainFor}
	for _, opt := range opts {
		if opt != nil {
			opt(&s)
		}
	}
	guards, err := linesOf(g)
	if err != nil {
		s.faults = append(s.faults, err)
	}
	if len(s.faults) > 0 {
		return nil, errors.Join(s.faults...)
	}
	if base == nil {
		base = http.DefaultTransport
	}
	return &transport{transportSettings: s, base: base, guards: guards}, nil
}

// transport is an http.RoundTripper behind guards.
type transport struct {
	transportSettings
	base   http.RoundTripper
	guards lines
}

// CloseIdleConnections is for http.Client's method of that name.
func (t *transport) CloseIdleConnections() {
	if c, ok := t.base.(interface{ CloseIdleConnections() }); ok {
		c.CloseIdleConnections()
	}
}

// RoundTrip implements http.RoundTripper.
func (t *transport) RoundTrip(r *http.Request) (*http.Response, error) {
	q := t.ask(r)
	l, by, err := t.guards.of(r)
	if err != nil {
		closeBody(r)
		return nil, err
	}
	if l.permits && !t.holdsAny(l) {
		defer by.Done()
		return t.direct(l.guard, q, r)
	}
	e := &errand{transport: t, guard: l.around, q: q, client: r, request: r, by: by}
	return e.run()
}

// ask returns what guards are asked for.
func (t *transport) ask(r *http.Request) (q patterns.Request) {
	q.Priority, _ = precedence.From(r.Context())
	if t.weight != nil {
		q.Weight = t.weight(r)
	}
	switch len(t.keys) {
	case 0:
	case 1:
		q.Key = keys.Bound(t.keys[0](r))
	default:
		parts := make([]string, len(t.keys))
		for i, by := range t.keys {
			parts[i] = by(r)
		}
		q.Key = keys.Bound(keys.Join(parts...))
	}
	return q
}

// direct makes a request whose guard only gives a permit, which ends with the header.
func (t *transport) direct(g patterns.Guard, q patterns.Request, r *http.Request) (*http.Response, error) {
	ctx := r.Context()
	permit, err := acquire(ctx, g, &q)
	if err != nil {
		closeBody(r)
		return nil, err
	}
	outcome := patterns.Failure
	defer func() { permit.Report(outcome) }()
	response, err := t.base.RoundTrip(sourced(t.carry(r)))
	switch {
	case err != nil:
		outcome = outcomeOfError(ctx, err)
	case response == nil:
		err = errNoResponse
	default:
		response.Request = r
		outcome = t.statuses.of(response.StatusCode)
	}
	return response, err
}

func acquire(ctx context.Context, g patterns.Guard, q *patterns.Request) (patterns.Permit, error) {
	if *q == (patterns.Request{}) {
		return g.Acquire(ctx)
	}
	return g.AcquireFor(ctx, *q)
}

// holdsAny reports whether a permit of l lasts longer than a response's header takes.
func (t *transport) holdsAny(l *line) bool {
	for _, g := range l.leaves {
		if t.hold(g) {
			return true
		}
	}
	return false
}

// carry returns r, with its priority in a header if it is for one of our servers.
func (t *transport) carry(r *http.Request) *http.Request {
	if t.send == "" || len(r.Header[t.send]) > 0 || !t.servers.has(r) {
		return r
	}
	p, ok := precedence.From(r.Context())
	if !ok {
		return r
	}
	copied := *r
	if copied.Header = r.Header.Clone(); copied.Header == nil {
		copied.Header = make(http.Header)
	}
	copied.Header.Set(t.send, p.String())
	return &copied
}

// closeBody does what an http.RoundTripper must with the body of a request that it does not
// send.
func closeBody(r *http.Request) {
	if r.Body != nil {
		_ = r.Body.Close() // nobody has read it
	}
}

// drained is a body of bytes that were read before.
type drained struct{ io.Reader }

func (drained) Close() error { return nil }
