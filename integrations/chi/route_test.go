package chi_test

import (
	"maps"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/go-chi/chi/v5"

	"github.com/bulwark-go/bulwark/integrations/nethttp"
)

func TestWhereMiddlewareKnowsTheRoute(t *testing.T) {
	seen := make(map[string]string)
	at := func(where string) func(http.Handler) http.Handler {
		return func(next http.Handler) http.Handler {
			return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				seen[where] = nethttp.ByRoute()(r)
				next.ServeHTTP(w, r)
			})
		}
	}
	none := func(http.ResponseWriter, *http.Request) {}
	router := chi.NewRouter()
	router.Use(at("use"))
	router.With(at("with")).Get("/a/{id}", none)
	router.Group(func(r chi.Router) {
		r.Use(at("group"))
		r.Get("/b/{id}", none)
	})
	router.Route("/api", func(r chi.Router) {
		r.Use(at("use of route"))
		r.With(at("with in route")).Get("/{id}", none)
	})
	for _, path := range []string{"/a/1", "/b/1", "/api/1"} {
		router.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest(http.MethodGet, path, nil))
	}
	want := map[string]string{
		"use": "", "with": "/a/{id}", "group": "/b/{id}", "use of route": "/api/*", "with in route": "/api/{id}",
	}
	if !maps.Equal(seen, want) {
		t.Errorf("got %v, want %v", seen, want)
	}
}
