package nethttp

import (
	"errors"
	"fmt"
	"net/http"
	"net/netip"
	"slices"
	"strconv"

	"github.com/bulwark-go/bulwark/integrations/internal/clientip"
	"github.com/bulwark-go/bulwark/integrations/internal/hosted"
	"github.com/bulwark-go/bulwark/integrations/internal/keys"
	"github.com/bulwark-go/bulwark/integrations/internal/paths"
	"github.com/bulwark-go/bulwark/integrations/internal/precedence"
	"github.com/bulwark-go/bulwark/integrations/internal/refusal"
	"github.com/bulwark-go/bulwark/patterns"
)

// Option is something about a middleware that is not the default.
type Option func(*settings)

// settings are what the options say.
type settings struct {
	exclude  []string
	routes   []string
	keys     []KeyFunc
	weight   func(*http.Request) int
	proxies  Proxies
	priority Priorities
	late     int
	refused  http.Handler
	faults   []error
	client   bool // one of the keys is the client
}

// Exclude are the paths that are not guarded: each as it is ("/health"), with all that is
// below it ("/static/..."), or as a pattern of path.Match ("/api/*/health"). Default /health,
// /healthz, /ready and /metrics; Exclude() is none. A path with something escaped in it that
// need not be, or that is not clean, is always guarded.
func Exclude(entries ...string) Option {
	entries = slices.Clone(entries)
	return func(s *settings) { s.exclude = entries }
}

// ExcludeRoutes are the routes that are not guarded, each as the router has it: "GET /health/"
// of an http.ServeMux, "/users/{id}/health" of chi. A middleware around an http.ServeMux
// itself does not know them yet, one around a handler does: see ByRoute. Default none.
func ExcludeRoutes(patterns ...string) Option {
	patterns = slices.Clone(patterns)
	return func(s *settings) {
		for _, p := range patterns {
			s.fault(p != "", "ExcludeRoutes", p, "is no route")
		}
		s.routes = append(s.routes, patterns...)
	}
}

// Key counts requests by key, for guards that do: limiters, bulkheads with partitions, fair
// shedders. Several make one of all of them. A key of more than 128 bytes is hashed. Default
// none for Guard, and PerClient for RateLimit.
func Key(by ...KeyFunc) Option {
	by = slices.Clone(by)
	return func(s *settings) {
		for _, f := range by {
			s.fault(f != nil, "Key", f, "is nil")
		}
		s.keys = append(s.keys, by...)
	}
}

// PerClient counts requests by the address they come from: an IPv6 client's is its /64. With
// Key it is one part of it, before those of the Keys that come later. Behind a proxy it needs
// TrustProxies; without, the proxy is the only client.
func PerClient() Option {
	return func(s *settings) { s.keys, s.client = append(s.keys, nil), true }
}

// TrustProxies says whose word about a client is taken. Default nobody's.
func TrustProxies(p Proxies) Option {
	p.Trusted = slices.Clone(p.Trusted)
	return func(s *settings) { s.proxies = p }
}

// Weight says how much work a request is. Default 1.
func Weight(f func(*http.Request) int) Option {
	return func(s *settings) {
		s.fault(f != nil, "Weight", f, "is nil")
		s.weight = f
	}
}

// Priorities is how priorities are told: see Priority. The zero value reads no header.
//
//	Header  string             what has it in it: background, low, normal, high or critical.
//	                           Anything else counts as if it were not there. Default none is read
//	Default patterns.Priority  of a request that does not say. Default Normal
//	Most    patterns.Priority  what anybody may claim; a higher claim counts as Most. Default Normal
//	Caps    []Cap              who may claim more than Most, or less: the first holds that a client
//	                           is in. Default none
type Priorities = precedence.Config

// Cap is what some clients may claim to be.
//
//	From []string             addresses and CIDR ranges
//	Most patterns.Priority    the highest that counts; a higher claim counts as it
type Cap = precedence.Cap

// Priority has a request's priority told by a header, within what its client may claim. What
// was found is in the request's context: see PriorityOf. Default none is read: requests are
// normal, or what an outer middleware found.
func Priority(p Priorities) Option {
	p.Caps = slices.Clone(p.Caps)
	return func(s *settings) { s.priority = p }
}

// TimeoutStatus is what a client gets whose request took too long: 503, 504, or 408, with
// which HTTP/1 connections are closed. Default 503.
func TimeoutStatus(status int) Option {
	return func(s *settings) {
		ok := status == http.StatusServiceUnavailable || status == http.StatusGatewayTimeout || status == http.StatusRequestTimeout
		s.fault(ok, "TimeoutStatus", status, "must be 503, 504 or 408")
		s.late = status
	}
}

// Refused answers requests that were refused, or took too long, in place of a problem. It
// finds out why by RefusalOf; Retry-After and what there is to say of a rate are among the
// headers already, and the status is the Refusal's unless it writes another.
func Refused(h http.Handler) Option {
	return func(s *settings) {
		s.fault(h != nil, "Refused", h, "is nil")
		s.refused = h
	}
}

// pattern is what errors about options call this package.
const pattern = "nethttp"

func (s *settings) fault(ok bool, field string, value any, problem string) {
	if ok {
		return
	}
	switch v := value.(type) {
	case int:
	case string:
		value = strconv.Quote(v)
	default: // a function has nothing to show
		value = "nil"
	}
	s.faults = append(s.faults, &patterns.ConfigError{Pattern: pattern, Field: field, Value: value, Problem: problem})
}

// entrance is all that is decided before a guard is asked, and how its refusals look.
type entrance struct {
	exclude  *paths.Set
	routes   []string
	clients  *clientip.Resolver
	keys     []KeyFunc // nil is the client
	weight   func(*http.Request) int
	priority *precedence.Rules
	late     int
	refused  http.Handler
	problems *refusal.Problems
}

// newEntrance returns what options say. The error names every fault.
func newEntrance(perClient bool, opts []Option) (*entrance, error) {
	s := settings{exclude: paths.Defaults(), late: http.StatusServiceUnavailable}
	for _, opt := range opts {
		if opt != nil {
			opt(&s)
		}
	}
	if len(s.keys) == 0 && perClient {
		s.keys = []KeyFunc{nil}
	}
	faults := slices.Concat(s.faults, paths.Faults(pattern, "Exclude", s.exclude),
		s.proxies.Faults(pattern, "Proxies"), s.priority.Faults(pattern, "Priorities"))
	if len(faults) > 0 {
		return nil, errors.Join(faults...)
	}
	e := &entrance{routes: s.routes, keys: s.keys, weight: s.weight, late: s.late, refused: s.refused, problems: refusal.NewProblems(s.late)}
	var errs [3]error
	e.exclude, errs[0] = paths.New(s.exclude)
	e.clients, errs[1] = clientip.New(s.proxies)
	e.priority, errs[2] = precedence.New(s.priority)
	return e, errors.Join(errs[:]...)
}

// excludes reports whether nobody is asked about r.
func (e *entrance) excludes(r *http.Request) bool {
	return e.exclude.Has(r.URL.Path, r.URL.RawPath) || r.Pattern != "" && slices.Contains(e.routes, r.Pattern)
}

// ask fills in what a guard is asked for, and returns r, with its priority in its context if
// a header was read.
func (e *entrance) ask(w http.ResponseWriter, r *http.Request, q *patterns.Request) *http.Request {
	e.askUser(w, r, q)
	name := e.priority.Header()
	if name == "" {
		q.Priority, _ = precedence.From(r.Context())
		return r
	}
	var from netip.Addr
	if e.priority.Capped() {
		from = e.clients.Of(r.RemoteAddr, r.Header)
	}
	q.Priority = e.priority.Of(r.Header.Get(name), from)
	return r.WithContext(precedence.With(r.Context(), q.Priority))
}

// askUser asks the functions that the user gave, which may need a framework's context.
func (e *entrance) askUser(w http.ResponseWriter, r *http.Request, q *patterns.Request) {
	if len(e.keys) == 0 && e.weight == nil {
		return
	}
	if h, ok := w.(*hosted.Host); ok && (e.weight != nil || len(e.keys) > 1 || e.keys[0] != nil) {
		r = r.WithContext(h.With(r.Context()))
	}
	if len(e.keys) > 0 {
		q.Key = e.key(r)
	}
	if e.weight != nil {
		q.Weight = e.weight(r)
	}
}

func (e *entrance) key(r *http.Request) string {
	if len(e.keys) == 1 {
		return keys.Bound(e.part(0, r))
	}
	parts := make([]string, len(e.keys))
	for i := range e.keys {
		parts[i] = e.part(i, r)
	}
	return keys.Bound(keys.Join(parts...))
}

func (e *entrance) part(i int, r *http.Request) string {
	if by := e.keys[i]; by != nil {
		return by(r)
	}
	return clientip.Key(e.clients.Of(r.RemoteAddr, r.Header))
}

// must is for options that are written in the program.
func must[T any](v T, err error) T {
	if err != nil {
		panic(fmt.Errorf("nethttp: %w", err))
	}
	return v
}
