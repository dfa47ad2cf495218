package supervisor

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/bulwark-go/bulwark/patterns"
	"github.com/bulwark-go/bulwark/supervisor/rules"
)

// TreeWait bounds how long Tree waits for supervising actors that are busy.
const TreeWait = time.Second

// Branch is an actor in a tree of supervision, and what is below it.
type Branch struct {
	ID   string // of the actor
	Name string // without that of its supervisor

	// What its supervisor knows of it. At the top of a tree, where nobody supervises,
	// State is Running and the rest is zero.
	Type     RestartType
	State    State
	Cause    Cause
	Since    time.Time // of State
	Until    time.Time // when State ends by itself; zero if it does not, or nobody knows
	Failures uint64
	Restarts uint64
	History  []Failed // the latest failures, at most 8, oldest first

	// How it supervises; nil if it has no children that a strategy of this package
	// supervises.
	Supervision *Supervision
	Children    []Branch // in the order that they were spawned in

	At time.Time // when all this was true
}

// Supervision is how an actor supervises.
type Supervision struct {
	Name    string // Config.Name
	Scope   Scope
	Circuit State     // of all children together, by Config.Correlated; Running means closed
	Until   time.Time // when it is tried, if it is Open
	Waiting int       // how many children wait for the budget
	Silent  bool      // the actor was too busy to answer: nothing of the above is known
}

// Forest is several trees.
type Forest []Branch

// Tree returns everything that is supervised by this package in an actor system. It
// waits, for at most TreeWait, for the turn of each supervising actor, and must not be
// called in one. Each actor's state is as of its own moment.
func Tree(system *actor.ActorSystem) Forest {
	ctx, cancel := context.WithTimeout(context.Background(), TreeWait)
	defer cancel()
	return grow(ctx, system, nodes(system, ""))
}

// TreeOf returns what is supervised at and below an actor. It waits until ctx ends.
func TreeOf(ctx context.Context, system *actor.ActorSystem, top *actor.PID) (Branch, error) {
	for _, b := range grow(ctx, system, nodes(system, top.GetId())) {
		if b.ID == top.GetId() {
			return b, nil
		}
	}
	return Branch{}, ErrNotSupervised
}

// nodes returns the nodes of the actors at and below that id, or of all.
func nodes(system *actor.ActorSystem, top string) (found []*node) {
	eachProcess(system, func(id string, p any) {
		if n, ok := p.(*node); ok && (top == "" || n.self.Id == top || strings.HasPrefix(n.self.Id, top+"/")) {
			found = append(found, n)
		}
	})
	return found
}

// eachProcess calls f for every process in the system. f must not use the registry.
func eachProcess(system *actor.ActorSystem, f func(id string, process any)) {
	for _, bucket := range system.ProcessRegistry.LocalPIDs.LocalPIDs {
		bucket.IterCb(f)
	}
}

// grow asks the nodes, all at once, and puts their answers together.
func grow(ctx context.Context, system *actor.ActorSystem, found []*node) Forest {
	answers := make(chan Branch, len(found))
	waiting := map[string]*node{}
	for _, n := range found {
		waiting[n.self.Id] = n
		n.order(func() { answers <- n.branch() }, func() { answers <- Branch{ID: n.self.Id} })
	}
	branches := map[string]Branch{}
	for len(waiting) > 0 {
		select {
		case b := <-answers:
			delete(waiting, b.ID)
			if b.Supervision != nil {
				branches[b.ID] = b
			}
			continue
		case <-ctx.Done():
		}
		for id, n := range waiting {
			branches[id] = Branch{ID: id, Name: id, Supervision: &Supervision{Name: n.strategy.cfg.Name, Scope: n.strategy.cfg.Scope, Silent: true}}
		}
		break
	}
	below := map[string]bool{} // those that are somebody's child
	for _, b := range branches {
		for _, c := range b.Children {
			below[c.ID] = true
		}
	}
	var forest Forest
	for id, b := range branches {
		if !below[id] {
			forest = append(forest, graft(b, branches))
		}
	}
	slices.SortFunc(forest, func(a, b Branch) int { return strings.Compare(a.ID, b.ID) })
	return forest
}

// graft puts what its children supervise below them.
func graft(b Branch, branches map[string]Branch) Branch {
	for i, c := range b.Children {
		if own, ok := branches[c.ID]; ok {
			c.Supervision, c.Children = own.Supervision, own.Children
			b.Children[i] = graft(c, branches)
		}
	}
	return b
}

// branch is what the node knows, in its actor's turn.
func (n *node) branch() Branch {
	now := time.Now()
	circuit, until := n.machine.Group()
	b := Branch{
		ID: n.self.Id, Name: n.self.Id, At: now,
		Supervision: &Supervision{
			Name: n.strategy.cfg.Name, Scope: n.machine.Config().Scope, Circuit: circuit, Until: n.wall(until), Waiting: n.machine.Waiting(),
		},
	}
	n.machine.Children(func(s rules.Status) {
		m := n.members[s.Child]
		c := Branch{
			ID: m.pid.Id, Name: m.name, Type: s.Type, State: s.State, Cause: s.Cause, Since: n.wall(s.Since),
			Failures: s.Failures, Restarts: s.Restarts, History: slices.Clone(m.failures), At: now,
		}
		if s.Until != patterns.Never {
			c.Until = n.wall(s.Until)
		}
		b.Children = append(b.Children, c)
	})
	return b
}

// String draws the trees, one below the other.
func (f Forest) String() string {
	var text strings.Builder
	for i := range f {
		f[i].draw(&text, "", "")
	}
	return text.String()
}

// String draws the tree: a line for each actor, with its state.
func (b Branch) String() string {
	var text strings.Builder
	b.draw(&text, "", "")
	return text.String()
}

func (b *Branch) draw(text *strings.Builder, first, others string) {
	text.WriteString(first + b.line() + "\n")
	for i := range b.Children {
		if i < len(b.Children)-1 {
			b.Children[i].draw(text, others+"├── ", others+"│   ")
		} else {
			b.Children[i].draw(text, others+"└── ", others+"    ")
		}
	}
}

// line is the actor's own.
func (b *Branch) line() string {
	words := []string{b.Name, b.State.String()}
	if b.State != Running && b.Cause != "" {
		words[1] += " (" + string(b.Cause) + ")"
	}
	if !b.Until.IsZero() {
		words[1] += " for " + short(b.Until.Sub(b.At))
	}
	if s := b.Supervision; s != nil {
		words[0] += " [" + s.Scope.String() + "]"
		switch {
		case s.Silent:
			words = append(words, "too busy to say more")
		case s.Circuit != Running:
			words = append(words, "circuit of its children "+s.Circuit.String())
		}
		if s.Waiting > 0 {
			words = append(words, fmt.Sprintf("%d wait for the budget", s.Waiting))
		}
	}
	if b.Restarts > 0 {
		words = append(words, fmt.Sprintf("restarts %d", b.Restarts))
	}
	if n := len(b.History); n > 0 {
		words = append(words, fmt.Sprintf("failed on %s: %v", b.History[n-1].Message, b.History[n-1].Reason))
	}
	return strings.Join(words, "  ")
}

// short is d to three digits or so.
func short(d time.Duration) string {
	d = max(0, d)
	switch {
	case d >= 10*time.Second:
		d = d.Round(time.Second)
	case d >= time.Second:
		d = d.Round(100 * time.Millisecond)
	case d >= time.Millisecond:
		d = d.Round(time.Millisecond)
	}
	return d.String()
}
