package supervisor

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/bulwark-go/bulwark/patterns"
)

const (
	// DefaultShutdown is what Child.Shutdown is if it is 0, and the child is no tree.
	DefaultShutdown = 5 * time.Second
	// AtOnce, as Child.Shutdown, stops the child without letting it serve what it has.
	AtOnce = -1
)

// Order is the order in which children are drained.
type Order uint8

const (
	// ByScope: under rest for one like LastFirst, else like Together.
	ByScope Order = iota
	// LastFirst: one after the other, the last spawned first.
	LastFirst
	// Together: all at once.
	Together
)

// String returns the order's name.
func (o Order) String() string {
	switch o {
	case ByScope:
		return "by-scope"
	case LastFirst:
		return "last-first"
	case Together:
		return "together"
	}
	return fmt.Sprintf("order(%d)", uint8(o))
}

// Spec is a tree of supervision as data: an actor that does nothing but supervise, and
// its children, some of which may be trees themselves. Start starts it.
type Spec struct {
	// Name is the actor's: not empty, without slashes.
	Name string

	// Config is how the children are supervised. Default: one for one, 10 restarts in
	// 10 s; then the failure is handed up.
	Config Config

	// Children are spawned in this order.
	Children []Child

	// Shutdown is the order in which they are drained: ByScope, LastFirst or Together.
	// Default ByScope.
	Shutdown Order

	// Options wire the strategy. Types is overruled by Child.Type.
	Options []Option
}

// Child is a child of a Spec.
type Child struct {
	// Name is the child's: unique among its siblings, not empty, without slashes. That of
	// a Tree is the Tree's own.
	Name string

	// Props are those of an actor, Tree is a tree. One of them is given.
	Props *actor.Props
	Tree  *Spec

	// Type says what endings of the child are mended. Default Permanent: all.
	Type RestartType

	// Shutdown is how long the child may take to serve what it has when it is drained,
	// with all that is below it; then it is stopped at once. AtOnce does not wait.
	// Default 5s, and for a Tree as long as the drain's context.
	Shutdown time.Duration
}

// Validate returns every fault of the tree, each a *patterns.ConfigError, joined.
func (s Spec) Validate() error {
	var faults []error
	s.check("", &faults)
	return errors.Join(faults...)
}

func (s *Spec) check(path string, faults *[]error) {
	path += "/" + s.Name
	fault := func(ok bool, field string, value any, problem string) {
		if !ok {
			*faults = append(*faults, &patterns.ConfigError{
				Pattern: "supervisor", Field: path + ": " + field, Value: value, Problem: problem,
			})
		}
	}
	fault(goodName(s.Name), "Name", s.Name, "must not be empty, nor have slashes")
	fault(s.Shutdown <= Together, "Shutdown", s.Shutdown, "must be ByScope, LastFirst or Together")
	if err, ok := s.Config.Validate().(interface{ Unwrap() []error }); ok {
		for _, e := range err.Unwrap() {
			if c, ok := errors.AsType[*patterns.ConfigError](e); ok {
				fault(false, "Config."+c.Field, c.Value, c.Problem)
			}
		}
	}
	names := map[string]bool{}
	for i, c := range s.Children {
		name := c.name()
		where := fmt.Sprintf("Children[%d].", i)
		if c.Tree == nil {
			fault(goodName(name), where+"Name", name, "must not be empty, nor have slashes")
		} else {
			fault(c.Name == "" || c.Name == c.Tree.Name, where+"Name", c.Name, "must not differ from that of Tree")
		}
		fault(!names[name], where+"Name", name, "must be unique")
		fault((c.Props == nil) != (c.Tree == nil), where+"Props", c.Props != nil, "must be given, or Tree, and not both")
		fault(c.Type <= Temporary, where+"Type", c.Type, "must be Permanent, Transient or Temporary")
		fault(c.Shutdown >= AtOnce, where+"Shutdown", c.Shutdown, "must be AtOnce or above 0")
		names[name] = true
		if c.Tree != nil {
			c.Tree.check(path, faults)
		}
	}
}

func goodName(name string) bool { return name != "" && !strings.Contains(name, "/") }

func (c *Child) name() string {
	if c.Tree != nil {
		return c.Tree.Name
	}
	return c.Name
}

// order is Shutdown; s may be nil.
func (s *Spec) order() Order {
	if s == nil {
		return ByScope
	}
	return s.Shutdown
}

// within is how long the child of that name may take to stop, 0 meaning for ever, and
// whether it is stopped at once. s may be nil.
func (s *Spec) within(name string) (d time.Duration, atOnce bool) {
	c := s.child(name)
	switch {
	case c == nil:
		return 0, false
	case c.Shutdown == AtOnce:
		return 0, true
	case c.Shutdown == 0 && c.Tree == nil:
		return DefaultShutdown, false
	}
	return c.Shutdown, false
}

// child returns the child of that name, or nil. s may be nil.
func (s *Spec) child(name string) *Child {
	if s == nil {
		return nil
	}
	for i := range s.Children {
		if s.Children[i].name() == name {
			return &s.Children[i]
		}
	}
	return nil
}

// typeOf is for Types.
func (s *Spec) typeOf(name string) RestartType {
	if c := s.child(name); c != nil {
		return c.Type
	}
	return Transient
}
