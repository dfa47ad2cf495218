package nethttp_test

import (
	"errors"
	"net/http"
	"testing"

	"github.com/bulwark-go/bulwark/integrations/nethttp"
	"github.com/bulwark-go/bulwark/patterns"
	"github.com/bulwark-go/bulwark/patterns/circuitbreaker"
)

func TestExcludedRoutesAreNotGuarded(t *testing.T) {
	b := newBreaker(t, registry(t), circuitbreaker.Config{})
	if err := b.ForceOpen(t.Context(), 0, ""); err != nil {
		t.Fatal(err)
	}
	guarded := nethttp.Guard(b, nethttp.ExcludeRoutes("GET /users/{id}/up"))
	mux := http.NewServeMux()
	mux.Handle("GET /users/{id}/up", guarded(say("up")))
	mux.Handle("GET /users/{id}", guarded(say("user")))
	s := serve(t, mux)
	wantBody(t, get(t, s, "/users/7/up"), 200, "up")
	wantProblem(t, get(t, s, "/users/7"), 503, "unavailable")

	around := serve(t, guarded(mux)) // which does not know the route yet
	wantProblem(t, get(t, around, "/users/7/up"), 503, "unavailable")

	if _, err := nethttp.New(b, nethttp.ExcludeRoutes("")); err == nil {
		t.Error("an empty route was taken")
	} else if _, ok := errors.AsType[*patterns.ConfigError](err); !ok {
		t.Errorf("a route that is none: %v", err)
	}
}
