package chi_test

import (
	"fmt"
	"net/http"
	"testing"
	"time"

	"github.com/go-chi/chi/v5"
	"github.com/go-chi/chi/v5/middleware"
	"go.uber.org/goleak"

	"github.com/bulwark-go/bulwark/actors"
	"github.com/bulwark-go/bulwark/integrations/internal/conformance"
	"github.com/bulwark-go/bulwark/integrations/nethttp"
	"github.com/bulwark-go/bulwark/patterns"
	"github.com/bulwark-go/bulwark/patterns/fallback"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// quiet hears of panics that checks make.
type quiet struct{}

func (quiet) Write(int, int, http.Header, time.Duration, any) {}
func (quiet) Panic(any, []byte)                               {}

func quietly(h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h.ServeHTTP(w, middleware.WithLogEntry(r, quiet{}))
	})
}

func TestTheMiddlewareConformsBehindChi(t *testing.T) {
	conformance.Run(t, conformance.Framework{
		Serve: func(t testing.TB, s conformance.Spec) (string, func()) {
			router := chi.NewRouter()
			router.Use(quietly)
			if s.Recovery == conformance.Outside {
				router.Use(middleware.Recoverer)
			}
			if s.Loose {
				router.Use(middleware.CleanPath, middleware.StripSlashes)
			}
			router.Use(chain(s.Everywhere)...)
			handle(router, s.Recovery, s.Routes)
			for _, g := range s.Groups {
				fill := func(r chi.Router) {
					r.Use(chain(g.Guards)...)
					handle(r, s.Recovery, g.Routes)
				}
				if g.Mounted {
					sub := chi.NewRouter()
					fill(sub)
					router.Mount(g.Prefix, sub)
					continue
				}
				router.Route(g.Prefix, fill)
			}
			return conformance.ServeHTTP(t, router)
		},
		Param: "{id}",
		New: func(g patterns.Guard) error {
			_, err := nethttp.New(g)
			return err
		},
		Unrouted: true,
		Fallback: func(t testing.TB, guards *actors.Registry, status int, text string) patterns.Guard {
			g, err := fallback.Spawn(guards, "instead", fallback.Config[http.Handler]{
				Steps: fallback.Chain(fallback.Value[http.Handler](http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
					w.WriteHeader(status)
					_, _ = fmt.Fprint(w, text)
				}))),
			})
			if err != nil {
				t.Fatal(err)
			}
			return g
		},
	})
}

func handle(router chi.Router, where conformance.Recovery, routes []conformance.Route) {
	for _, r := range routes {
		guards := chain(r.Guards)
		if where == conformance.Inside {
			guards = append(guards, middleware.Recoverer)
		}
		router.With(guards...).HandleFunc(r.Path, func(w http.ResponseWriter, q *http.Request) {
			if err := r.Handler(conformance.Plain{W: w, R: q}); err != nil {
				w.WriteHeader(http.StatusInternalServerError)
			}
		})
	}
}

func chain(guards []conformance.Guard) (all []func(http.Handler) http.Handler) {
	for _, g := range guards {
		all = append(all, conformance.Middleware(g, nethttp.Refused(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			why, _ := nethttp.RefusalOf(r.Context())
			w.WriteHeader(conformance.Teapot)
			_, _ = fmt.Fprint(w, g.Options.Sorry, ": ", why.Kind)
		}))))
	}
	return all
}
