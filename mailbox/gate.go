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
	// ID is for whoever sends one Gate after another: it comes back in the GateOpened.
	ID uint64
}

// GateOpened says that the messages that a Gate let through were all served.
type GateOpened struct {
	Who    *actor.PID // the actor
	Passed int        // Gate.Pass
	ID     uint64     // Gate.ID
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

// bar says why a message, about to be posted, must not be, or which gate lets it through:
// the mailbox is stopped, closed, or gated.
func (m *Combining) bar(msg any, plain bool, lane Lane) (passes uint32, reason error) {
	w := m.word.Load()
	if w&stopped != 0 {
		return 0, ErrStopped
	}
	if lane == Urgent || !m.refusable(msg, plain) {
		return 0, nil
	}
	if w&closed != 0 {
		return 0, ErrClosed
	}
	g := m.gate.Load()
	if g == nil {
		return 0, nil
	}
	if g.left.Add(-1) < 0 {
		m.refused.Add(1)
		return 0, g.Refuse
	}
	return g.number, nil
}

// atGate says whether a message, about to be served, is let through by a gate, or why it
// must not be served. by is the gate that let it in, or 0.
func (m *Combining) atGate(msg any, plain bool, by uint32, lane Lane, w uint32) (passes bool, reason error) {
	if w&stopped != 0 {
		return false, ErrStopped
	}
	if lane == Urgent || !m.refusable(msg, plain) {
		return false, nil
	}
	if w&closed != 0 {
		return false, ErrClosed
	}
	g := m.gate.Load()
	if g == nil {
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
		p.SendSystemMessage(g.Tell, &GateOpened{Who: m.host.self, Passed: g.Pass, ID: g.ID})
	}
}

func (m *Combining) setGate(to Gate) {
	if to.Refuse == nil {
		m.word.And(^gated)
		m.gate.Store(nil)
		m.reshut()
		return
	}
	m.tally.gates++
	g := &gate{Gate: to, number: m.tally.gates}
	g.left.Store(int64(to.Pass))
	m.gate.Store(g)
	m.word.Or(gated)
	m.reshut()
	m.purge()
}

func (m *Combining) reshut() {
	if m.user != nil {
		m.user.reshut()
	}
}

// purge refuses what is queued and not let through.
func (m *Combining) purge() {
	g, w := m.gate.Load(), m.word.Load()
	if g == nil && w&closed == 0 {
		return
	}
	p := purgatory{reason: ErrClosed}
	if w&closed == 0 {
		p.reason, p.pass = g.Refuse, g.number
	}
	if m.user != nil {
		m.user.purge(p)
		return
	}
	m.purgeQueue(p)
}

// purgatory is why all is refused that gate number pass, or no gate, lets through.
type purgatory struct {
	reason error
	pass   uint32
}

func (m *Combining) stays(msg any, plain bool, passes uint32, p purgatory) bool {
	return passes != 0 && passes == p.pass || !m.refusable(msg, plain)
}

func (m *Combining) purgeQueue(p purgatory) {
	var kept, last *Node
	for n := m.ordinary.pop(); n != nil; n = m.ordinary.pop() {
		if m.stays(n.value, n.plain, n.passes, p) {
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
		m.refuseNode(n, p.reason)
	}
	m.ordinary.oldest = kept // pop found nothing behind it
}
