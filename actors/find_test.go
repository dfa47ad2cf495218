package actors_test

import (
	"slices"
	"testing"

	"github.com/bulwark-go/bulwark/actors"
	"github.com/bulwark-go/bulwark/actors/actorstest"
	"github.com/bulwark-go/bulwark/patterns"
	"github.com/bulwark-go/bulwark/patterns/circuitbreaker"
)

func TestGuardsAreFoundByNameAndKind(t *testing.T) {
	guards := actorstest.NewRegistry(t)
	b := spawnSem(t, guards, "b", 1, 1)
	a := spawnSem(t, guards, "a", 1, 1)
	desks := spawnDesks(t, guards, 3, deskConfig{Limit: 1})
	breaker := spawnBreaker(t, guards, "breaker", circuitbreaker.Config{})

	if got, ok := actors.Find[*sem](guards, " a "); !ok || got != a {
		t.Errorf("got %v, %v", got, ok)
	}
	if got, ok := actors.Find[*deskGuards](guards, "desk"); !ok || got != desks {
		t.Errorf("got %v, %v", got, ok)
	}
	if got, ok := actors.Find[patterns.Guard](guards, "breaker"); !ok || got != patterns.Guard(breaker) {
		t.Errorf("got %v, %v", got, ok)
	}
	for _, name := range []string{"breaker", "nobody", "", "desk#1"} {
		if got, ok := actors.Find[*sem](guards, name); ok || got != nil {
			t.Errorf("%q: got %v", name, got)
		}
	}
	if got, ok := actors.Find[*sem](nil, "a"); ok || got != nil {
		t.Errorf("got %v", got)
	}

	var names []string
	for name, s := range actors.Each[*sem](guards) {
		names = append(names, name)
		if want := map[string]*sem{"a": a, "b": b}[name]; s != want {
			t.Errorf("%q is %v", name, s)
		}
	}
	if !slices.Equal(names, []string{"a", "b"}) {
		t.Errorf("names %v", names)
	}
	names = nil
	for name := range actors.Each[patterns.Guard](guards) {
		names = append(names, name)
		if name == "breaker" {
			break
		}
	}
	if !slices.Equal(names, []string{"a", "b", "breaker"}) {
		t.Errorf("names %v", names)
	}
	for name := range actors.Each[*deskGuards](guards) {
		if name != "desk" {
			t.Errorf("a shard is a guard: %q", name)
		}
	}
	for name := range actors.Each[*sem](nil) {
		t.Errorf("%q in no registry", name)
	}
}
