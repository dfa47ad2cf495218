package fiberguard_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"testing"

	"github.com/gofiber/fiber/v3"
	recoverer "github.com/gofiber/fiber/v3/middleware/recover"
	"go.uber.org/goleak"

	"github.com/bulwark-go/bulwark/actors"
	fiberguard "github.com/bulwark-go/bulwark/integrations/fiber"
	"github.com/bulwark-go/bulwark/integrations/internal/conformance"
	"github.com/bulwark-go/bulwark/patterns"
	"github.com/bulwark-go/bulwark/patterns/fallback"
)

func TestTheMiddlewareConforms(t *testing.T) {
	conformance.Run(t, conformance.Framework{
		Serve: serve,
		Param: ":id",
		New: func(g patterns.Guard) error {
			_, err := fiberguard.New(g)
			return err
		},
		Fallback: func(t testing.TB, guards *actors.Registry, status int, text string) patterns.Guard {
			g, err := fallback.Spawn(guards, "instead", fallback.Config[fiberguard.Answer]{
				Steps: fallback.Chain(fallback.Value(fiberguard.Handler(func(c fiber.Ctx) error { return c.Status(status).SendString(text) }))),
			})
			if err != nil {
				t.Fatal(err)
			}
			return g
		},
		Leaves:    leaves(),
		Unrouted:  true,
		Blind:     true,
		CallsOnce: true,
		Waits:     true,
		Lenient:   true,
		Buffers:   true,
	})
}

// leaves are goroutines that fasthttp starts once and for all, and one that looks every ten
// seconds whether its server has stopped.
func leaves() []goleak.Option {
	return []goleak.Option{
		goleak.IgnoreAnyFunction("github.com/valyala/fasthttp.updateServerDate.func1"),
		goleak.IgnoreAnyFunction("github.com/valyala/fasthttp.(*workerPool).Start.func2"),
	}
}

func TestMain(m *testing.M) { goleak.VerifyTestMain(m, leaves()...) }

func serve(t testing.TB, s conformance.Spec) (string, func()) {
	t.Helper()
	app := fiber.New(fiber.Config{UnescapePath: s.Loose, CaseSensitive: !s.Loose})
	if s.Recovery == conformance.Outside {
		app.Use(recoverer.New())
	}
	for _, h := range chain(s.Everywhere) {
		app.Use(h)
	}
	handle(app, s.Recovery, s.Routes)
	for _, g := range s.Groups {
		if !g.Mounted {
			handle(app.Group(g.Prefix, chain(g.Guards)...), s.Recovery, g.Routes)
			continue
		}
		sub := fiber.New()
		for _, h := range chain(g.Guards) {
			sub.Use(h)
		}
		handle(sub, s.Recovery, g.Routes)
		app.Use(g.Prefix, sub)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	stop := start(app, l)
	return l.Addr().String(), func() {
		if err := stop(); err != nil {
			t.Error(err)
		}
	}
}

func handle(to fiber.Router, where conformance.Recovery, routes []conformance.Route) {
	for _, r := range routes {
		guards := chain(r.Guards)
		if where == conformance.Inside {
			guards = append(guards, recoverer.New())
		}
		guards = append(guards, func(c fiber.Ctx) error { return r.Handler(exchange{c}) })
		to.All(r.Path, guards[0], guards[1:]...)
	}
}

func chain(guards []conformance.Guard) (all []any) {
	for _, g := range guards {
		if g.Limiter != nil {
			all = append(all, fiberguard.RateLimit(g.Limiter, options(g.Options)...))
			continue
		}
		all = append(all, fiberguard.Guard(g.Guard, options(g.Options)...))
	}
	return all
}

func options(o conformance.Options) (opts []fiberguard.Option) {
	add := func(wanted bool, opt func() fiberguard.Option) {
		if wanted {
			opts = append(opts, opt())
		}
	}
	add(o.Exclude != nil, func() fiberguard.Option { return fiberguard.Exclude(o.Exclude...) })
	add(o.Routes != nil, func() fiberguard.Option { return fiberguard.ExcludeRoutes(o.Routes...) })
	add(o.PerClient, fiberguard.PerClient)
	add(len(o.Proxies.Trusted) > 0, func() fiberguard.Option { return fiberguard.TrustProxies(o.Proxies) })
	add(o.Priority.Header != "", func() fiberguard.Option { return fiberguard.Priority(o.Priority) })
	add(o.Late != 0, func() fiberguard.Option { return fiberguard.TimeoutStatus(o.Late) })
	add(o.ByHeader != "", func() fiberguard.Option { return fiberguard.Key(fiberguard.ByHeader(o.ByHeader)) })
	add(o.Weight != 0, func() fiberguard.Option { return fiberguard.Weight(func(fiber.Ctx) int { return o.Weight }) })
	add(o.Sorry != "", func() fiberguard.Option {
		return fiberguard.Refused(func(c fiber.Ctx) error {
			why, _ := fiberguard.RefusalOf(c)
			return c.Status(conformance.Teapot).SendString(fmt.Sprintf("%s: %v", o.Sorry, why.Kind))
		})
	})
	return opts
}

// exchange is an Exchange of fiber.
type exchange struct{ c fiber.Ctx }

func (x exchange) Context() context.Context             { return x.c.Context() }
func (x exchange) Header(name string) string            { return x.c.Get(name) }
func (x exchange) Body() ([]byte, error)                { return x.c.Body(), nil }
func (x exchange) SetHeader(name, value string)         { x.c.Set(name, value) }
func (x exchange) Answer(status int, text string) error { return x.c.Status(status).SendString(text) }

func (x exchange) Fail(status int, secret string) error {
	if status == http.StatusInternalServerError {
		return errors.New(secret)
	}
	return fiber.NewError(status, "no")
}

func (x exchange) Stream(write func(w io.Writer, flush func() error)) error {
	return x.c.SendStreamWriter(func(w *bufio.Writer) { write(w, w.Flush) })
}

func (x exchange) Hijack(use func(c net.Conn)) error {
	x.c.Set("Connection", "Upgrade")
	x.c.Set("Upgrade", "echo")
	x.c.Status(http.StatusSwitchingProtocols)
	x.c.RequestCtx().Hijack(use)
	return nil
}
