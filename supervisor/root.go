package supervisor

import (
	"context"
	"fmt"
	"slices"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/bulwark-go/bulwark/mailbox"
)

// Root is a tree that was started.
type Root struct {
	system *actor.ActorSystem
	pid    *actor.PID
}

// Start starts a tree: each supervising actor spawns its children in order. It returns
// once all are spawned. If one cannot be, because its name is taken or its producer
// panics, or if ctx ends, everything is stopped again, and the error says why.
//
// Nobody supervises the top of the tree: a failure that reaches it ends as
// Config.AtTop says.
func Start(ctx context.Context, system *actor.ActorSystem, spec Spec) (*Root, error) {
	if err := spec.Validate(); err != nil {
		return nil, fmt.Errorf("supervisor: %w", err)
	}
	spec = *spec.clone()
	births := make(chan error, spec.trees())
	props, err := spec.props(func(err error) { births <- err })
	if err != nil {
		return nil, err
	}
	pid, err := system.Root.SpawnNamed(props, spec.Name)
	if err != nil {
		return nil, fmt.Errorf("supervisor: %s: %w", spec.Name, err)
	}
	for range cap(births) {
		select {
		case err = <-births:
		case <-ctx.Done():
			err = ctx.Err()
		}
		if err != nil {
			now, cancel := context.WithCancel(ctx)
			cancel()
			_ = Drain(now, system, pid) // says that it used force
			return nil, err
		}
	}
	return &Root{system, pid}, nil
}

// PID returns the top of the tree.
func (r *Root) PID() *actor.PID { return r.pid }

// Tree returns the tree with what every actor is doing; see TreeOf.
func (r *Root) Tree(ctx context.Context) (Branch, error) { return TreeOf(ctx, r.system, r.pid) }

// Shutdown stops the tree in good order, as its Spec says; see Drain.
func (r *Root) Shutdown(ctx context.Context) error { return Drain(ctx, r.system, r.pid) }

// clone returns a copy that nobody else changes.
func (s *Spec) clone() *Spec {
	c := *s
	c.Options = slices.Clone(s.Options)
	c.Children = slices.Clone(s.Children)
	for i, child := range c.Children {
		if child.Tree != nil {
			c.Children[i].Tree = child.Tree.clone()
		}
	}
	return &c
}

// trees is how many supervising actors there are.
func (s *Spec) trees() int {
	n := 1
	for _, c := range s.Children {
		if c.Tree != nil {
			n += c.Tree.trees()
		}
	}
	return n
}

// props are those of the supervising actor of a valid Spec. born is told once for each
// tree in it, when its children were spawned for the first time, or could not be.
func (s *Spec) props(born func(error)) (*actor.Props, error) {
	strategy, err := New(s.Config, append(slices.Clone(s.Options), Types(s.typeOf))...)
	if err != nil {
		return nil, err
	}
	strategy.spec = s
	children := make([]*actor.Props, len(s.Children))
	for i, c := range s.Children {
		if children[i] = c.Props; c.Tree == nil {
			continue
		}
		if children[i], err = c.Tree.props(born); err != nil {
			return nil, err
		}
	}
	told := false // touched by one actor at a time: the next one is spawned when the last is gone
	return actor.PropsFromProducer(func() actor.Actor {
		return &gardener{spec: s, props: children, born: func(err error) bool {
			if told {
				return false
			}
			told = true
			born(err)
			return true
		}}
	}, actor.WithMailbox(mailbox.Producer(mailbox.Config{})), strategy.Supervise), nil
}

// gardener is the supervising actor of a Spec. Its strategy does the rest.
type gardener struct {
	spec  *Spec
	props []*actor.Props
	born  func(error) (first bool)
}

// Receive spawns the children.
func (g *gardener) Receive(c actor.Context) {
	if _, ok := c.Message().(*actor.Started); !ok {
		return
	}
	for i, props := range g.props {
		if err := plant(c, props, g.spec.Children[i].name()); err != nil {
			if !g.born(err) {
				panic(err) // a restart that does not succeed is its supervisor's business
			}
			return
		}
	}
	g.born(nil)
}

// plant spawns a child, and returns the producer's panic as an error.
func plant(c actor.Context, props *actor.Props, name string) (err error) {
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("supervisor: %s/%s: its producer panicked: %v", c.Self().Id, name, r)
		}
	}()
	if _, err := c.SpawnNamed(props, name); err != nil {
		return fmt.Errorf("supervisor: %s/%s: %w", c.Self().Id, name, err)
	}
	return nil
}
