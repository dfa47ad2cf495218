package mailbox

import (
	"log/slog"
	"sync/atomic"

	"github.com/asynkron/protoactor-go/actor"
)

// Gate is a system message from the supervisor of an actor that keeps failing, to
// the actor's mailbox, which fails fast then instead of growing. Only mailboxes that
// escalate failures as Failed understand it.
//
// A gate is between the senders of Ordinary messages and the actor, suspended or not.
// Urgent messages, system messages and poison pills are not concerned.
type Gate struct {
	// Refuse is the reason with which messages are refused, those queued included.
	// nil takes the gate away.
	Refuse error
	// Pass is how many messages that come are let through all the same. When that many
	// were served, and none of them failed, the mailbox takes the gate away itself.
	Pass int
	// Tell is sent a *GateOpened then, as a system message. It may be nil.
	Tell *actor.PID
}

// GateOpened says that the messages that a Gate let through were all served.
type GateOpened struct {
	Who    *actor.PID // the actor
	Passed int        // Gate.Pass
}

// Failed is the Message of a Failure that comes from a mailbox of this package. It
// means that whoever sent Message was answered, and that the mailbox knows Gate.
type Failed struct{ Message any }

// gate is a Gate in a mailbox.
type gate struct {
	Gate
	number uint32
	left   atomic.Int64 // how many more may pass
	served int          // owned by the turn
}

// purge, a system message, is posted by whoever queued a message while a gate was shut.
type purge struct{}

// bar says why n, about to be posted, must not be: the mailbox is stopped, or gated.
func (m *Combining) bar(n *Node, lane Lane) error {
	if m.word.Load()&stopped != 0 {
		return ErrStopped
	}
	g := m.gate.Load()
	if g == nil || lane == Urgent || !m.refusable(n) {
		return nil
	}
	if g.left.Add(-1) < 0 {
		m.refused.Add(1)
		return g.Refuse
	}
	n.passes = g.number
	return nil
}

// atGate says whether n, about to be served, is let through by a gate, or why it must
// not be served.
func (m *Combining) atGate(n *Node, lane Lane, w uint32) (passes bool, reason error) {
	by := n.passes
	n.passes = 0
	if w&stopped != 0 {
		return false, ErrStopped
	}
	g := m.gate.Load()
	if g == nil || lane == Urgent || !m.refusable(n) {
		return false, nil
	}
	if by != g.number {
		m.refused.Add(1)
		return false, g.Refuse
	}
	return true, nil
}

// passed is called when a message that was let through has been served.
func (m *Combining) passed() {
	g := m.gate.Load()
	if g == nil { // shut and taken away since
		return
	}
	if g.served++; g.served < g.Pass {
		return
	}
	m.setGate(Gate{})
	if g.Tell == nil || m.host.system == nil {
		return
	}
	defer func() {
		if r := recover(); r != nil {
			m.host.log("telling of an opened gate failed", slog.Any("panic", r))
		}
	}()
	if p, ok := m.host.system.ProcessRegistry.Get(g.Tell); ok {
		p.SendSystemMessage(g.Tell, &GateOpened{Who: m.host.self, Passed: g.Pass})
	}
}

func (m *Combining) setGate(to Gate) {
	if to.Refuse == nil {
		m.word.And(^gated)
		m.gate.Store(nil)
		return
	}
	m.tally.gates++
	g := &gate{Gate: to, number: m.tally.gates}
	g.left.Store(int64(to.Pass))
	m.gate.Store(g)
	m.word.Or(gated)
	m.purge()
}

// purge refuses what is queued and not let through.
func (m *Combining) purge() {
	g := m.gate.Load()
	if g == nil {
		return
	}
	var kept, last *Node
	for n := m.ordinary.pop(); n != nil; n = m.ordinary.pop() {
		if n.passes == g.number || !m.refusable(n) {
			if last == nil {
				kept = n
			} else {
				last.next = n
			}
			last = n
			continue
		}
		n.passes = 0
		m.depth.Add(-1)
		m.refused.Add(1)
		m.refuseNode(n, g.Refuse)
	}
	m.ordinary.oldest = kept // pop found nothing behind it
}
