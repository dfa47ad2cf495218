package fiberguard

import (
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strconv"

	"github.com/gofiber/fiber/v3"

	"github.com/bulwark-go/bulwark/integrations/internal/clientip"
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
	keys     []KeyFunc // nil is the client
	weight   func(fiber.Ctx) int
	proxies  Proxies
	priority Priorities
	late     int
	refused  fiber.Handler
	faults   []error
}

// Exclude are the paths that are not guarded: each as it is ("/health"), with all that is
// below it ("/static/..."), or as a pattern of path.Match ("/api/*/health"). Default /health,
// /healthz, /ready and /metrics; Exclude() is none. A path with something escaped in it, or
// that is not clean, is always guarded.
func Exclude(entries ...string) Option {
	entries = slices.Clone(entries)
	return func(s *settings) { s.exclude = entries }
}

// ExcludeRoutes are the routes that are not guarded, each as fiber has it: "/users/:id/up".
// Middleware of App.Use does not know them yet, that of a route does. Default none.
func ExcludeRoutes(routes ...string) Option {
	routes = slices.Clone(routes)
	return func(s *settings) {
		for _, r := range routes {
			s.fault(r != "", "ExcludeRoutes", strconv.Quote(r), "is no route")
		}
		s.routes = append(s.routes, routes...)
	}
}

// Key counts requests by key, for guards that do: limiters, bulkheads with partitions, fair
// shedders. Several make one of all of them. A key of more than 128 bytes is hashed. Default
// none for Guard, and PerClient for RateLimit.
func Key(by ...KeyFunc) Option {
	by = slices.Clone(by)
	return func(s *settings) {
		for _, f := range by {
			s.fault(f != nil, "Key", "nil", "is nil")
		}
		s.keys = append(s.keys, by...)
	}
}

// PerClient counts requests by the address they come from: an IPv6 client's is its /64. With
// Key it is one part of it, before those of the Keys that come later. Behind a proxy it needs
// TrustProxies; without, the proxy is the only client.
func PerClient() Option { return func(s *settings) { s.keys = append(s.keys, nil) } }

// Proxies says whose word about a client is taken. It is that of package nethttp, which has
// its headers: nethttp.ForwardedFor and the others.
type Proxies = clientip.Config

// TrustProxies says whose word about a client is taken. Default nobody's, whatever
// fiber.Config.TrustProxy says.
func TrustProxies(p Proxies) Option {
	p.Trusted = slices.Clone(p.Trusted)
	return func(s *settings) { s.proxies = p }
}

// Weight says how much work a request is. Default 1.
func Weight(f func(fiber.Ctx) int) Option {
	return func(s *settings) {
		s.fault(f != nil, "Weight", "nil", "is nil")
		s.weight = f
	}
}

// Priorities is how priorities are told. It is that of package nethttp, which has its Cap.
type Priorities = precedence.Config

// Priority has a request's priority told by a header, within what its client may claim. What
// was found is in the request's context, for nethttp.PriorityOf. Default none is read: requests
// are normal, or what an outer middleware found.
func Priority(p Priorities) Option {
	p.Caps = slices.Clone(p.Caps)
	return func(s *settings) { s.priority = p }
}

// TimeoutStatus is what a client gets whose request took too long: 503, 504, or 408, with
// which connections are closed. Default 503.
func TimeoutStatus(status int) Option {
	return func(s *settings) {
		ok := status == http.StatusServiceUnavailable || status == http.StatusGatewayTimeout || status == http.StatusRequestTimeout
		s.fault(ok, "TimeoutStatus", status, "must be 503, 504 or 408")
		s.late = status
	}
}

// Refused answers requests that were refused, or took too long, in place of a problem. It
// finds out why by RefusalOf; Retry-After and what there is to say of a rate are among the
// headers already, the status is for it to write.
func Refused(h fiber.Handler) Option {
	return func(s *settings) {
		s.fault(h != nil, "Refused", "nil", "is nil")
		s.refused = h
	}
}

// pattern is what errors about options call this package.
const pattern = "fiberguard"

func (s *settings) fault(ok bool, field string, value any, problem string) {
	if !ok {
		s.faults = append(s.faults, &patterns.ConfigError{Pattern: pattern, Field: field, Value: value, Problem: problem})
	}
}

// entrance is all that is decided before a guard is asked, and how its refusals look.
type entrance struct {
	settings
	excluded *paths.Set
	clients  *clientip.Resolver
	rules    *precedence.Rules
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
	e := &entrance{settings: s, problems: refusal.NewProblems(s.late)}
	var errs [3]error
	e.excluded, errs[0] = paths.New(s.exclude)
	e.clients, errs[1] = clientip.New(s.proxies)
	e.rules, errs[2] = precedence.New(s.priority)
	return e, errors.Join(errs[:]...)
}

// must is for options that are written in the program.
func must(h fiber.Handler, err error) fiber.Handler {
	if err != nil {
		panic(fmt.Errorf("fiberguard: %w", err))
	}
	return h
}
