package nethttp_test

import (
	"fmt"
	"net/http"
	"testing"

	"github.com/bulwark-go/bulwark/actors"
	"github.com/bulwark-go/bulwark/integrations/internal/conformance"
	"github.com/bulwark-go/bulwark/integrations/nethttp"
	"github.com/bulwark-go/bulwark/patterns"
	"github.com/bulwark-go/bulwark/patterns/fallback"
)

func TestTheMiddlewareConforms(t *testing.T) {
	conformance.Run(t, conformance.Framework{
		Serve: func(t testing.TB, s conformance.Spec) (string, func()) {
			mux := http.NewServeMux()
			handle(mux, "", s.Recovery, s.Routes)
			for _, g := range s.Groups {
				sub := http.NewServeMux()
				handle(sub, g.Prefix, s.Recovery, g.Routes)
				mux.Handle(g.Prefix+"/", around(s.Recovery, g.Guards, sub))
			}
			return conformance.ServeHTTP(t, around(s.Recovery, s.Everywhere, mux))
		},
		Param: "{id}",
		New: func(g patterns.Guard) error {
			_, err := nethttp.New(g)
			return err
		},
		Unrouted: true,
		Fallback: func(t testing.TB, guards *actors.Registry, status int, text string) patterns.Guard {
			return must[*fallback.Fallback[http.Handler]](t)(fallback.Spawn(guards, "instead", fallback.Config[http.Handler]{
				Steps: fallback.Chain(fallback.Value[http.Handler](http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
					w.WriteHeader(status)
					_, _ = fmt.Fprint(w, text)
				}))),
			}))
		},
	})
}

func handle(mux *http.ServeMux, prefix string, where conformance.Recovery, routes []conformance.Route) {
	for _, r := range routes {
		mux.Handle(prefix+r.Path, around(where, r.Guards, http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) {
			if err := r.Handler(conformance.Plain{W: w, R: q}); err != nil {
				w.WriteHeader(http.StatusInternalServerError)
			}
		})))
	}
}

// around puts h behind guards, the outermost of which is the first, and recovers from panics.
func around(where conformance.Recovery, guards []conformance.Guard, h http.Handler) http.Handler {
	sorry := func(text string) nethttp.Option {
		return nethttp.Refused(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			why, _ := nethttp.RefusalOf(r.Context())
			w.WriteHeader(conformance.Teapot)
			_, _ = fmt.Fprint(w, text, ": ", why.Kind)
		}))
	}
	if where == conformance.Inside {
		h = recovered(h)
	}
	for i := len(guards) - 1; i >= 0; i-- {
		h = conformance.Middleware(guards[i], sorry(guards[i].Options.Sorry))(h)
	}
	if where == conformance.Outside {
		h = recovered(h)
	}
	return h
}

func recovered(h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		defer func() {
			if recover() != nil {
				w.WriteHeader(http.StatusInternalServerError)
			}
		}()
		h.ServeHTTP(w, r)
	})
}
