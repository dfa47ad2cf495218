// Package conformance is what the middleware of every HTTP framework has to do, as tests over
// real TCP that are the same for all of them. What a framework cannot do is said in its
// Framework, and then that is what is tested.
package conformance

import (
	"context"
	"io"
	"net"
	"net/http"
	"testing"

	"go.uber.org/goleak"

	"github.com/bulwark-go/bulwark/actors"
	"github.com/bulwark-go/bulwark/integrations/nethttp"
	"github.com/bulwark-go/bulwark/patterns"
)

// Framework is one that is tested.
type Framework struct {
	// Serve serves routes on a loopback port, until stop is called, which returns when every
	// request has ended.
	Serve func(t testing.TB, s Spec) (address string, stop func())

	// Param is the last part of a route that is anything.
	Param string

	// New returns why there cannot be middleware of a guard.
	New func(g patterns.Guard) error

	// Fallback spawns a fallback whose value is a native handler of the framework.
	Fallback func(t testing.TB, guards *actors.Registry, status int, text string) patterns.Guard

	// Leaves are goroutines that the framework itself leaves behind when it has stopped.
	Leaves []goleak.Option

	// What follows are the differences from net/http.

	// Blind: a handler does not learn that its client has left, nor does the guard.
	Blind bool
	// CallsOnce: handlers are called once, also by a retry, and there are no hedges.
	CallsOnce bool
	// Unrouted: middleware of the whole program knows no routes.
	Unrouted bool
	// Waits: a client whose handler was abandoned has its answer only when that returns.
	Waits bool
	// Lenient: some malformed requests are served like any other.
	Lenient bool
	// Buffers: a request's body is read before the guard is asked.
	Buffers bool
}

// Spec is a server.
type Spec struct {
	Routes []Route
	// Everywhere are the guards around all routes, the outermost first.
	Everywhere []Guard
	// Recovery says where the framework's own recovery from panics is.
	Recovery Recovery
	// Groups are more routes.
	Groups []Group
	// Loose: the router takes every spelling of a path that it can be told to take.
	Loose bool
}

// Group is routes that have the first part of their path in common, and guards.
type Group struct {
	Prefix string
	Guards []Guard // of all routes, the outermost first
	Routes []Route // their paths are what comes after the prefix
	// Mounted: it is a router of its own, if the framework has such.
	Mounted bool
}

// Route is a handler and the guards in front of it, the outermost first.
type Route struct {
	Path    string
	Guards  []Guard
	Handler Handler
}

// Recovery is where panics are recovered from.
type Recovery int

// Places.
const (
	Outside Recovery = iota // of the guards
	Inside
)

// Guard is middleware: of a guard, or of a limiter that tells rates.
type Guard struct {
	Guard   patterns.Guard
	Limiter nethttp.Limiter
	Options Options
}

// Options are those that all frameworks have. The zero value is all defaults.
type Options struct {
	Exclude   []string // nil is the default
	Routes    []string
	PerClient bool
	ByHeader  string
	Proxies   nethttp.Proxies
	Priority  nethttp.Priorities
	Weight    int
	Late      int
	Sorry     string // answered natively, with 418, in place of a problem
}

// HTTP returns o for middleware that is of package nethttp; refused is for Sorry.
func (o Options) HTTP(refused nethttp.Option) (opts []nethttp.Option) {
	add := func(wanted bool, opt func() nethttp.Option) {
		if wanted {
			opts = append(opts, opt())
		}
	}
	add(o.Exclude != nil, func() nethttp.Option { return nethttp.Exclude(o.Exclude...) })
	add(o.Routes != nil, func() nethttp.Option { return nethttp.ExcludeRoutes(o.Routes...) })
	add(o.PerClient, nethttp.PerClient)
	add(len(o.Proxies.Trusted) > 0, func() nethttp.Option { return nethttp.TrustProxies(o.Proxies) })
	add(o.Priority.Header != "", func() nethttp.Option { return nethttp.Priority(o.Priority) })
	add(o.Late != 0, func() nethttp.Option { return nethttp.TimeoutStatus(o.Late) })
	add(o.ByHeader != "", func() nethttp.Option { return nethttp.Key(nethttp.ByHeader(o.ByHeader)) })
	add(o.Weight != 0, func() nethttp.Option { return nethttp.Weight(func(*http.Request) int { return o.Weight }) })
	add(o.Sorry != "", func() nethttp.Option { return refused })
	return opts
}

// Middleware is that of g, if it is of package nethttp.
func Middleware(g Guard, refused nethttp.Option) func(http.Handler) http.Handler {
	if g.Limiter != nil {
		return nethttp.RateLimit(g.Limiter, g.Options.HTTP(refused)...)
	}
	return nethttp.Guard(g.Guard, g.Options.HTTP(refused)...)
}

// Teapot is the status of Sorry.
const Teapot = 418

// Handler answers a request, natively: what it returns is what a native handler returns.
type Handler func(x Exchange) error

// Exchange is a request and its response.
type Exchange interface {
	Context() context.Context
	Header(name string) string
	Body() ([]byte, error)
	SetHeader(name, value string)
	// Answer answers with a status and a text.
	Answer(status int, text string) error
	// Fail answers as the framework does that has errors: with one, which says secret.
	Fail(status int, secret string) error
	// Stream writes a body as it comes.
	Stream(write func(w io.Writer, flush func() error)) error
	// Hijack takes the connection over, and closes it afterwards.
	Hijack(use func(c net.Conn)) error
}
