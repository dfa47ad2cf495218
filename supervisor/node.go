package supervisor

import (
	"log/slog"
	"math/rand/v2"
	"slices"
	"strings"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/bulwark-go/bulwark/mailbox"
	"github.com/bulwark-go/bulwark/patterns"
	"github.com/bulwark-go/bulwark/supervisor/rules"
)

// parentContext is the context of a supervising actor. Guardians have none.
type parentContext interface {
	actor.Supervisor
	actor.SpawnerContext
	actor.MessageInvoker
}

// nodeSuffix follows a supervising actor's id in that of its node.
const nodeSuffix = "/$supervision"

// node is what is known of the children of one supervising actor. It is found by its
// name in the process registry, as nothing of an actor of the user's could hold it,
// and receives, as a process, what children and mailboxes say. All of its state is
// touched in the actor's turn only.
//
// To get a turn, an order is sent to the actor as the Reason of a Failure: that is a
// system message, which strategies get and actors do not see.
type node struct {
	strategy *Strategy
	system   *actor.ActorSystem
	parent   parentContext
	self     *actor.PID // of the actor
	process  actor.Process
	pid      *actor.PID // the node's own
	prober   *actor.PID

	machine *rules.Machine
	origin  time.Time
	timer   *time.Timer
	members map[rules.ID]*member
	byName  map[string]*member // by the id of the PID
	last    rules.ID
	ended   []*member // that the machine has forgotten

	accompanied bool    // lives is called
	spawning    *member // being spawned anew
	asking      bool    // whether the actor is stopping
	stopping    bool    // the answer
	busy        bool    // carrying effects out
	closed      bool
}

// member is a child.
type member struct {
	id       rules.ID
	name     string
	pid      *actor.PID
	process  actor.Process // nil if it was not found
	props    *actor.Props  // nil if it was not seen being spawned
	ours     bool          // its mailbox answers for it, and has a gate
	stops    int           // how often it failed while it stopped
	failures []Failed      // the latest, oldest first
}

// historyLength is how many failures of a child are remembered.
const historyLength = 8

// Failed is one failure of a child.
type Failed struct {
	Reason  any    // what it panicked with
	Message string // type of the message that it failed on
	At      time.Time
}

// order is something to do in the turn of the actor of a node.
type order struct {
	node *node
	run  func()
	drop func() // if it cannot be done; may be nil
}

func (o *order) carryOut() {
	if o.node.closed {
		if o.drop != nil {
			o.drop()
		}
		return
	}
	o.run()
	o.node.carryOut()
}

// nodeOf returns the node of a supervising actor, in its turn. witnessed says that no
// child was spawned before. It is nil if the actor does not let the strategy supervise,
// or is about to be gone.
func (s *Strategy) nodeOf(system *actor.ActorSystem, parent parentContext, witnessed bool) *node {
	self := parent.Self()
	if n := findNode(system, self); n != nil {
		return n
	}
	if own, ok := parent.Actor().(actor.SupervisorStrategy); ok {
		if m, ok := own.(interface{ mine() *Strategy }); !ok || m.mine() != s {
			s.complain(system, parent, "the actor's own HandleFailure supervises, and not the strategy of its props")
			return nil
		}
	}
	process, ok := system.ProcessRegistry.GetLocal(self.Id)
	if !ok {
		return nil
	}
	cfg := s.cfg
	if cfg.Scope == Rest && !witnessed {
		cfg.Scope = All
		s.complain(system, parent, "rest for one without the order of spawning is one for all: use Strategy.Supervise")
	}
	n := &node{
		strategy: s, system: system, parent: parent, self: self, process: process, origin: time.Now(),
		machine: rules.New(rules.Params{Config: cfg, Seed: rand.Uint64()}),
		members: map[rules.ID]*member{}, byName: map[string]*member{}, accompanied: witnessed && s.types != nil,
	}
	if n.pid, ok = system.ProcessRegistry.Add(n, self.Id+nodeSuffix); !ok { // of an actor of that name that is gone
		system.ProcessRegistry.Remove(n.pid)
		n.pid, _ = system.ProcessRegistry.Add(n, self.Id+nodeSuffix)
	}
	n.prober, _ = system.ProcessRegistry.Add(prober{n}, self.Id+nodeSuffix+system.ProcessRegistry.NextId())
	process.SendSystemMessage(self, &actor.Watch{Watcher: n.pid})
	return n
}

// findNode returns the node of an actor, or nil. Only in the actor's turn may it be
// used.
func findNode(system *actor.ActorSystem, self *actor.PID) *node {
	p, ok := system.ProcessRegistry.GetLocal(self.Id + nodeSuffix)
	if !ok {
		return nil
	}
	n, ok := p.(*node)
	if !ok || n.self != self { // each actor has a PID of its own, if not an id
		return nil
	}
	return n
}

// close forgets everything: the actor is gone.
func (n *node) close() {
	n.closed = true
	if n.timer != nil {
		n.timer.Stop()
	}
	if p, ok := n.system.ProcessRegistry.GetLocal(n.pid.Id); ok && p == actor.Process(n) {
		n.system.ProcessRegistry.Remove(n.pid)
	}
	n.system.ProcessRegistry.Remove(n.prober)
}

// SendUserMessage ignores the message: nobody knows a node.
func (n *node) SendUserMessage(*actor.PID, any) {}

// Stop does nothing.
func (n *node) Stop(*actor.PID) {}

// SendSystemMessage takes what a watched actor or a mailbox has to say. It runs in their
// turn.
func (n *node) SendSystemMessage(_ *actor.PID, msg any) {
	switch msg := msg.(type) {
	case *actor.Terminated:
		if msg.Who != n.self {
			n.order(func() { n.watchedGone(msg.Who) }, nil)
			return
		}
		// The actor's own turn.
		if n.asking {
			n.stopping = true
			return
		}
		n.close()
	case *mailbox.GateOpened:
		n.order(func() {
			if m := n.member(msg.Who); m != nil {
				n.machine.Passed(n.now(), m.id, msg.ID)
			}
		}, nil)
	}
}

// prober watches children to find out which of them stop. See node.tell.
type prober struct{ *node }

// SendSystemMessage takes the answer.
func (p prober) SendSystemMessage(_ *actor.PID, msg any) {
	if msg, ok := msg.(*actor.Terminated); ok {
		p.order(func() { p.wasStopping(msg.Who) }, nil)
	}
}

// order has run called in the actor's turn, and then what that decided carried out.
func (n *node) order(run, drop func()) {
	n.process.SendSystemMessage(n.self, &actor.Failure{Who: n.self, Reason: &order{n, run, drop}})
}

func (n *node) now() patterns.Instant { return patterns.Instant(time.Since(n.origin)) }

func (n *node) wall(at patterns.Instant) time.Time {
	if at == patterns.Never {
		return time.Time{}
	}
	return n.origin.Add(time.Duration(at))
}

// member returns the child of that PID, and not of another of the same name.
func (n *node) member(pid *actor.PID) *member {
	if m := n.byName[pid.Id]; m != nil && m.pid == pid {
		return m
	}
	return nil
}

// spawned enters a child.
func (n *node) spawned(pid *actor.PID, props *actor.Props) {
	if m := n.spawning; m != nil && m.pid.Id == pid.Id {
		n.admit(m, pid)
		return
	}
	if old := n.byName[pid.Id]; old != nil { // its Terminated is yet to come
		n.machine.Retire(n.now(), old.id)
		n.gone(old)
	}
	n.adopt(pid, props)
	n.carryOut()
}

// adopt enters a child that is new.
func (n *node) adopt(pid *actor.PID, props *actor.Props) *member {
	n.last++
	m := &member{id: n.last, name: strings.TrimPrefix(pid.Id, n.self.Id+"/"), props: props}
	n.members[m.id], n.byName[pid.Id] = m, m
	n.admit(m, pid)
	kind := Transient
	if n.accompanied {
		kind = n.strategy.typeOf(n.system, n.parent, m.name)
	}
	n.machine.Add(n.now(), m.id, kind)
	return m
}

// admit makes pid the actor that m is.
func (n *node) admit(m *member, pid *actor.PID) {
	m.pid, m.stops, m.process = pid, 0, nil
	if p, ok := n.system.ProcessRegistry.Get(pid); ok {
		m.process = p
		p.SendSystemMessage(pid, &actor.Watch{Watcher: n.pid})
	}
}

// watchedGone says that a child has stopped. Where the actor is accompanied, it says so
// itself, once proto.actor has forgotten the child.
func (n *node) watchedGone(who *actor.PID) {
	if m := n.member(who); m != nil && !n.accompanied {
		n.gone(m)
	}
}

func (n *node) gone(m *member) {
	n.machine.Gone(n.now(), m.id, rand.Float64())
	if _, stays := n.machine.Status(m.id); !stays && n.byName[m.pid.Id] == m {
		delete(n.byName, m.pid.Id) // another may have the name at once
	}
}

// forget forgets those who have ended, once nothing names them any more.
func (n *node) forget() {
	for _, m := range n.ended {
		delete(n.members, m.id)
		if n.byName[m.pid.Id] == m {
			delete(n.byName, m.pid.Id)
		}
	}
	n.ended = n.ended[:0]
}

// note remembers a failure.
func (m *member) note(reason any, message string) {
	if len(m.failures) == historyLength {
		m.failures = slices.Delete(m.failures, 0, 1)
	}
	m.failures = append(m.failures, Failed{reason, message, time.Now()})
}

// lives says what becomes of the actor.
func (n *node) lives(msg any) {
	switch msg := msg.(type) {
	case *actor.Started:
		n.machine.Enter()
	case *actor.Stopping, *actor.Restarting:
		n.machine.Leave(n.now())
	case *actor.Terminated:
		if m := n.member(msg.Who); m != nil {
			n.gone(m)
		}
	}
	n.carryOut()
}

// failed is a failure of a child, as proto.actor reports it.
type failed struct {
	child           *actor.PID
	reason, message any
	gated           bool
}

func (n *node) failed(f failed) {
	m := n.member(f.child)
	if m == nil {
		if n.ghost(f) {
			return
		}
		m = n.adopt(f.child, nil)
	}
	if n.machine.Config().Scope != One {
		n.adoptAll()
	}
	m.ours = m.ours || f.gated
	m.note(f.reason, typeName(f.message))
	if n.failedToStop(m, f) {
		n.carryOut()
		return
	}
	if n.isStopping() {
		n.machine.Leave(n.now())
	}
	n.machine.Failed(n.now(), rules.Failure{
		Child:   m.id,
		Verdict: n.strategy.verdict(n.system, n.parent, f.child, f.reason),
		Gated:   m.ours,
		U:       rand.Float64(),
	})
	n.carryOut()
}

// ghost reports whether a child that is not known has stopped already, or stopped being
// the one of its name: after a panic on Stopped, a mailbox of proto.actor's serves what
// it has left. If it is not, room is made for it.
func (n *node) ghost(f failed) bool {
	old := n.byName[f.child.Id]
	switch {
	case old == nil:
		_, registered := n.system.ProcessRegistry.Get(f.child)
		return !registered && !ending(f.message)
	case n.registered(old):
		return true
	}
	n.gone(old)
	return n.byName[f.child.Id] != nil // it is to be spawned anew
}

// ending reports whether a child that failed on that message may have been about to stop.
func ending(message any) bool {
	switch message.(type) {
	case *actor.Stop, *actor.Terminated:
		return true
	}
	return false
}

// adoptAll enters the children that were not seen being spawned.
func (n *node) adoptAll() {
	for _, pid := range n.parent.Children() {
		if n.byName[pid.Id] == nil {
			n.adopt(pid, nil)
		}
	}
}

// isStopping reports whether the actor is: who watches a stopping actor is told at once
// that it is gone.
func (n *node) isStopping() bool {
	n.asking, n.stopping = true, false
	n.parent.InvokeSystemMessage(&actor.Watch{Watcher: n.pid}) // which it does already
	n.asking = false
	return n.stopping
}

// wake looks again when something is due.
func (n *node) wake() {
	at := n.machine.Wake()
	switch {
	case at != patterns.Never:
		// Not 0: bubbles of tests run such timers at once, side by side, on one race context.
		wait := max(1, at.Sub(n.now()))
		if n.timer == nil {
			n.timer = time.AfterFunc(wait, func() { n.order(func() { n.machine.Tick(n.now()) }, nil) })
		} else {
			n.timer.Reset(wait)
		}
	case n.timer != nil:
		n.timer.Stop()
	}
}

// publish announces an event, and logs it.
func (n *node) publish(event interface {
	slog.LogValuer
	Level() slog.Level
}, msg string,
) {
	n.strategy.log(n.system, event.Level(), msg, slog.Any("event", event))
	n.strategy.publish(n.system, n.parent, event)
}
