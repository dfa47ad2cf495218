package ginguard_test

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"testing"

	"github.com/gin-gonic/gin"
	"go.uber.org/goleak"

	"github.com/bulwark-go/bulwark/actors"
	ginguard "github.com/bulwark-go/bulwark/integrations/gin"
	"github.com/bulwark-go/bulwark/integrations/internal/conformance"
	"github.com/bulwark-go/bulwark/integrations/nethttp"
	"github.com/bulwark-go/bulwark/patterns"
	"github.com/bulwark-go/bulwark/patterns/fallback"
)

func TestMain(m *testing.M) {
	gin.SetMode(gin.ReleaseMode)
	gin.DefaultErrorWriter = io.Discard // of panics that checks make
	goleak.VerifyTestMain(m)
}

func TestTheMiddlewareConforms(t *testing.T) {
	conformance.Run(t, conformance.Framework{
		Serve: func(t testing.TB, s conformance.Spec) (string, func()) {
			e := gin.New()
			if s.Recovery == conformance.Outside {
				e.Use(gin.Recovery())
			}
			e.RedirectFixedPath, e.RemoveExtraSlash, e.UseRawPath = s.Loose, s.Loose, s.Loose
			e.Use(middleware(s.Everywhere)...)
			handle(e, s.Recovery, s.Routes)
			for _, g := range s.Groups { // gin mounts nothing
				handle(e.Group(g.Prefix, middleware(g.Guards)...), s.Recovery, g.Routes)
			}
			return conformance.ServeHTTP(t, e)
		},
		Param: ":id",
		New: func(g patterns.Guard) error {
			_, err := ginguard.New(g)
			return err
		},
		Fallback: func(t testing.TB, guards *actors.Registry, status int, text string) patterns.Guard {
			g, err := fallback.Spawn(guards, "instead", fallback.Config[http.Handler]{
				Steps: fallback.Chain(fallback.Value(ginguard.Handler(func(c *gin.Context) { c.String(status, text) }))),
			})
			if err != nil {
				t.Fatal(err)
			}
			return g
		},
		CallsOnce: true,
	})
}

func handle(to gin.IRoutes, where conformance.Recovery, routes []conformance.Route) {
	for _, r := range routes {
		chain := middleware(r.Guards)
		if where == conformance.Inside {
			chain = append(chain, gin.Recovery())
		}
		to.Any(r.Path, append(chain, func(c *gin.Context) {
			if err := r.Handler(exchange{conformance.Plain{W: c.Writer, R: c.Request}, c}); err != nil {
				_ = c.AbortWithError(http.StatusInternalServerError, err)
			}
		})...)
	}
}

func middleware(guards []conformance.Guard) (chain []gin.HandlerFunc) {
	for _, g := range guards {
		opts := g.Options.HTTP(nethttp.Refused(ginguard.Handler(func(c *gin.Context) {
			why, _ := nethttp.RefusalOf(c.Request.Context())
			c.String(conformance.Teapot, "%s: %v", g.Options.Sorry, why.Kind)
		})))
		if g.Limiter != nil {
			chain = append(chain, ginguard.RateLimit(g.Limiter, opts...))
			continue
		}
		chain = append(chain, ginguard.Guard(g.Guard, opts...))
	}
	return chain
}

// exchange does what gin has ways of its own for.
type exchange struct {
	conformance.Plain
	c *gin.Context
}

func (x exchange) Context() context.Context     { return x.c.Request.Context() }
func (x exchange) SetHeader(name, value string) { x.c.Header(name, value) }

func (x exchange) Answer(status int, text string) error {
	if text == "" {
		x.c.Status(status) // which begins no response yet
		return nil
	}
	x.c.String(status, "%s", text)
	return nil
}

func (x exchange) Fail(status int, secret string) error {
	_ = x.c.AbortWithError(status, errors.New(secret))
	return nil
}

func (x exchange) Stream(write func(w io.Writer, flush func() error)) error {
	x.c.Stream(func(w io.Writer) bool {
		write(w, func() error {
			x.c.Writer.Flush()
			return nil
		})
		return false
	})
	return nil
}

func (x exchange) Hijack(use func(c net.Conn)) error { return x.Plain.Hijack(use) }
