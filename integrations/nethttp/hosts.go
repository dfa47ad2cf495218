package nethttp

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/bulwark-go/bulwark/integrations/internal/family"
	"github.com/bulwark-go/bulwark/patterns"
	"github.com/bulwark-go/bulwark/patterns/pipeline"
)

// lines says which guard a request is for.
type lines interface {
	of(r *http.Request) (*line, *hostGuard, error)
}

func linesOf(g patterns.Guard) (lines, error) {
	if h, ok := g.(*Hosts); ok {
		return h, h.fault
	}
	l, err := newLine(g)
	return single{l}, err
}

// single is the guard of all requests.
type single struct{ *line }

func (s single) of(*http.Request) (*line, *hostGuard, error) { return s.line, nil, nil }

const (
	// DefaultHosts is how many hosts PerHost has guards for, unless MaxHosts says otherwise.
	DefaultHosts = family.Most
	maxHosts     = 1 << 20
	// stopFor is how long an idle guard may take to stop.
	stopFor = time.Second
)

// ErrHosts is returned by Hosts to whoever does not say what for.
var ErrHosts = errors.New("nethttp: a guard per host, of which a request has one: use Transport")

// HostsError refuses a request to yet another host while as many have requests under way as
// may have. It matches patterns.ErrRejected.
type HostsError struct{ Max int }

func (e *HostsError) Error() string {
	return fmt.Sprintf("nethttp: requests to %d hosts are under way, and no more may have guards", e.Max)
}

// Unwrap returns patterns.ErrRejected.
func (e *HostsError) Unwrap() error { return patterns.ErrRejected }

// Hosts are guards of which each host has one. Only a Transport can tell which: asked for
// permits by anybody else it says so. It is safe for concurrent use.
type Hosts struct {
	spawn   func(host string) (patterns.Guard, error)
	most    int
	fault   error
	members *family.Family[*line]
}

var _ patterns.Guard = (*Hosts)(nil)

// HostsOption is something about Hosts that is not the default.
type HostsOption func(*Hosts)

// MaxHosts is how many hosts have guards at most, from 1 to 1,048,576. Default DefaultHosts.
func MaxHosts(n int) HostsOption { return func(h *Hosts) { h.most = n } }

// PerHost gives each host a guard of its own: a breaker, or a pipeline. spawn makes one for a
// host when it is first needed, on the request's goroutine, and one at a time; a request whose
// guard cannot be made fails with the error.
//
//	nethttp.PerHost(func(host string) (patterns.Guard, error) {
//		return circuitbreaker.Spawn(guards, "bank/"+host, circuitbreaker.Config{})
//	})
//
// A host is a URL's, in lower case, with its port unless that is the scheme's own. If there are
// more than MaxHosts, that which was not used for longest is forgotten, and those of its guards
// are stopped whose name ends in a slash and the host; guards of other names may be shared, and
// stay. If requests to all of them are under way, the next is refused with a *HostsError.
func PerHost(spawn func(host string) (patterns.Guard, error), opts ...HostsOption) *Hosts {
	h := &Hosts{spawn: spawn, most: DefaultHosts}
	for _, opt := range opts {
		if opt != nil {
			opt(h)
		}
	}
	fault := func(ok bool, field string, value any, problem string) {
		if !ok {
			h.fault = errors.Join(h.fault, &patterns.ConfigError{Pattern: pattern, Field: field, Value: value, Problem: problem})
		}
	}
	fault(spawn != nil, "PerHost", "nil", "is nil")
	fault(h.most >= 1 && h.most <= maxHosts, "MaxHosts", h.most, fmt.Sprintf("must be from 1 to %d", maxHosts))
	h.members = family.Forgetting(h.most, h.make, h.forget)
	return h
}

// hostGuard is the guard of a host.
type hostGuard = family.Member[*line]

func (h *Hosts) of(r *http.Request) (*line, *hostGuard, error) {
	g, err := h.members.Use(r.Context(), hostOf(r))
	switch {
	case errors.Is(err, family.ErrFull):
		return nil, nil, &HostsError{Max: h.most}
	case err != nil:
		return nil, nil, err
	}
	return g.Value, g, nil
}

// make makes the guard of a host.
func (h *Hosts) make(host string) (*line, error) {
	guard, err := h.spawn(host)
	if err != nil {
		return nil, fmt.Errorf("nethttp: no guard for %s: %w", host, err)
	}
	l, err := newLine(guard)
	if err != nil {
		return nil, fmt.Errorf("nethttp: no guard for %s: %w", host, err)
	}
	return l, nil
}

// forget stops what is the host's alone.
func (h *Hosts) forget(ctx context.Context, host string, l *line) {
	ctx, cancel := context.WithTimeout(ctx, stopFor)
	defer cancel()
	stopOf(ctx, host, l.guard)
}

// stopOf stops those guards that are the host's alone.
func stopOf(ctx context.Context, host string, guard patterns.Guard) {
	if p, several := guard.(*pipeline.Pipeline); several {
		for _, part := range p.Guards() {
			stopOf(ctx, host, part)
		}
		return
	}
	s, ok := guard.(interface{ Stop(context.Context) error })
	if ok && strings.HasSuffix(guard.Name(), "/"+host) {
		_ = s.Stop(ctx) // it has stopped, if not in order
	}
}

// All are the hosts that have guards, in the order of their names.
func (h *Hosts) All() iter.Seq2[string, patterns.Guard] {
	all := h.members.All()
	return func(yield func(string, patterns.Guard) bool) {
		for host, l := range all {
			if !yield(host, l.guard) {
				return
			}
		}
	}
}

// Name implements patterns.Guard.
func (*Hosts) Name() string { return "hosts" }

// Acquire implements patterns.Guard: it returns ErrHosts.
func (*Hosts) Acquire(context.Context) (patterns.Permit, error) {
	return patterns.Permit{}, ErrHosts
}

// AcquireFor implements patterns.Guard: it returns ErrHosts.
func (*Hosts) AcquireFor(context.Context, patterns.Request) (patterns.Permit, error) {
	return patterns.Permit{}, ErrHosts
}

// Terms implements patterns.Guard.
func (*Hosts) Terms() *patterns.Terms { return nil }

// ByHost is the host that a client's request is for, as PerHost has it: one keyed limiter can
// be for all of them.
func ByHost() KeyFunc { return hostOf }

func hostOf(r *http.Request) string {
	if r == nil || r.URL == nil {
		return ""
	}
	return hostOfURL(r.URL)
}

func hostOfURL(u *url.URL) string {
	name, port := strings.TrimSuffix(strings.ToLower(u.Hostname()), "."), u.Port()
	if port == "80" && strings.EqualFold(u.Scheme, "http") || port == "443" && strings.EqualFold(u.Scheme, "https") {
		port = ""
	}
	switch {
	case port != "":
		return net.JoinHostPort(name, port)
	case strings.Contains(name, ":"):
		return "[" + name + "]"
	}
	return name
}

// servers are hosts that are told what others are not.
type servers struct {
	exact   map[string]bool // hosts, and hosts with ports
	domains []string        // each with a dot before it
}

func newServers(hosts []string) servers {
	s := servers{exact: make(map[string]bool)}
	for _, h := range hosts {
		h = strings.ToLower(h)
		if domain, ok := strings.CutPrefix(h, "*"); ok {
			s.domains = append(s.domains, domain)
			continue
		}
		s.exact[h] = true
	}
	return s
}

func (s *servers) has(r *http.Request) bool {
	name := strings.TrimSuffix(strings.ToLower(r.URL.Hostname()), ".")
	if s.exact[name] || s.exact[hostOf(r)] {
		return true
	}
	return slices.ContainsFunc(s.domains, func(d string) bool { return strings.HasSuffix(name, d) })
}
