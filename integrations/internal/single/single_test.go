package single

import (
	"errors"
	"strings"
	"testing"

	"github.com/bulwark-go/bulwark/actors/actorstest"
	"github.com/bulwark-go/bulwark/patterns"
	"github.com/bulwark-go/bulwark/patterns/bulkhead"
	"github.com/bulwark-go/bulwark/patterns/hedge"
	"github.com/bulwark-go/bulwark/patterns/pipeline"
)

func TestEveryHedgeIsNamedHoweverDeepItIs(t *testing.T) {
	guards := actorstest.NewRegistry(t)
	room, err := bulkhead.Spawn(guards, "room", bulkhead.Config{})
	if err != nil {
		t.Fatal(err)
	}
	spawn := func(name string) patterns.Guard {
		h, err := hedge.Spawn(guards, name, hedge.Config{})
		if err != nil {
			t.Fatal(err)
		}
		return h
	}
	line := func(name string, all ...patterns.Guard) patterns.Guard {
		p, err := pipeline.New(name, all...)
		if err != nil {
			t.Fatal(err)
		}
		return p
	}
	one, two := spawn("one"), spawn("two")
	for _, c := range []struct {
		g    patterns.Guard
		want []string
	}{
		{room, nil},
		{line("a", room), nil},
		{one, []string{`"one"`}},
		{line("b", room, line("c", one)), []string{`"one"`}},
		{line("d", two, line("e", room, line("f", one))), []string{`"one"`, `"two"`}},
	} {
		err := Check(c.g)
		if errors.Is(err, ErrHedge) != (c.want != nil) {
			t.Errorf("%s: got %v", c.g.Name(), err)
		}
		for _, name := range c.want {
			if !strings.Contains(err.Error(), name) {
				t.Errorf("%s: %s is not in %v", c.g.Name(), name, err)
			}
		}
	}
}
