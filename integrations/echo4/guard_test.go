package echo4guard_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"testing"

	"github.com/labstack/echo/v4"
	"github.com/labstack/echo/v4/middleware"
	"go.uber.org/goleak"

	"github.com/bulwark-go/bulwark/actors"
	echo4guard "github.com/bulwark-go/bulwark/integrations/echo4"
	"github.com/bulwark-go/bulwark/integrations/internal/conformance"
	"github.com/bulwark-go/bulwark/integrations/nethttp"
	"github.com/bulwark-go/bulwark/patterns"
	"github.com/bulwark-go/bulwark/patterns/fallback"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestTheMiddlewareConforms(t *testing.T) {
	conformance.Run(t, conformance.Framework{
		Serve: func(t testing.TB, s conformance.Spec) (string, func()) {
			e := echo.New()
			e.Logger.SetOutput(io.Discard) // of panics that checks make
			if s.Recovery == conformance.Outside {
				e.Use(middleware.Recover())
			}
			if s.Loose {
				e.Pre(middleware.RemoveTrailingSlash())
			}
			e.Use(chain(s.Everywhere)...)
			handle(e.Group(""), s.Recovery, s.Routes)
			for _, g := range s.Groups { // echo mounts nothing
				handle(e.Group(g.Prefix, chain(g.Guards)...), s.Recovery, g.Routes)
			}
			return conformance.ServeHTTP(t, e)
		},
		Param: ":id",
		New: func(g patterns.Guard) error {
			_, err := echo4guard.New(g)
			return err
		},
		Fallback: func(t testing.TB, guards *actors.Registry, status int, text string) patterns.Guard {
			g, err := fallback.Spawn(guards, "instead", fallback.Config[http.Handler]{
				Steps: fallback.Chain(fallback.Value(echo4guard.Handler(func(c echo.Context) error { return c.String(status, text) }))),
			})
			if err != nil {
				t.Fatal(err)
			}
			return g
		},
		CallsOnce: true,
	})
}

func handle(to *echo.Group, where conformance.Recovery, routes []conformance.Route) {
	for _, r := range routes {
		guards := chain(r.Guards)
		if where == conformance.Inside {
			guards = append(guards, middleware.Recover())
		}
		to.Any(r.Path, func(c echo.Context) error {
			return r.Handler(exchange{conformance.Plain{W: c.Response(), R: c.Request()}, c})
		}, guards...)
	}
}

func chain(guards []conformance.Guard) (all []echo.MiddlewareFunc) {
	for _, g := range guards {
		opts := g.Options.HTTP(nethttp.Refused(echo4guard.Handler(func(c echo.Context) error {
			why, _ := nethttp.RefusalOf(c.Request().Context())
			return c.String(conformance.Teapot, fmt.Sprintf("%s: %v", g.Options.Sorry, why.Kind))
		})))
		if g.Limiter != nil {
			all = append(all, echo4guard.RateLimit(g.Limiter, opts...))
			continue
		}
		all = append(all, echo4guard.Guard(g.Guard, opts...))
	}
	return all
}

// exchange does what echo has ways of its own for.
type exchange struct {
	conformance.Plain
	c echo.Context
}

func (x exchange) Context() context.Context     { return x.c.Request().Context() }
func (x exchange) SetHeader(name, value string) { x.c.Response().Header().Set(name, value) }

func (x exchange) Answer(status int, text string) error {
	if text == "" {
		return x.c.NoContent(status)
	}
	return x.c.String(status, text)
}

func (x exchange) Fail(status int, secret string) error {
	if status == http.StatusInternalServerError {
		return errors.New(secret)
	}
	return echo.NewHTTPError(status, "no").SetInternal(errors.New(secret))
}

func (x exchange) Stream(write func(w io.Writer, flush func() error)) error {
	write(x.c.Response(), func() error {
		x.c.Response().Flush()
		return nil
	})
	return nil
}

func (x exchange) Hijack(use func(c net.Conn)) error { return x.Plain.Hijack(use) }
