package exchange

import (
	"container/list"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/bulwark-go/bulwark/actors"
	"github.com/bulwark-go/bulwark/mailbox"
)

// maxJoined is how many more requests of one ID may wait for the reply to the first.
const maxJoined = 64

// Once makes actors do the work of a request once, however often it is made: a request whose
// ID they have answered gets the same reply again, and one whose ID they work on gets the
// reply when there is one. Requests that come after their deadline are refused, as by
// DropExpired. Messages that are no requests of an Exchanger pass. Give its method Attach to
// the props of such actors.
//
// A reply that is an error is not remembered, so that the next attempt does the work again;
// Remember decides otherwise. What an actor remembers survives its restarts, and not its
// stop; members of a pool do not share it.
type Once struct {
	cfg      OnceConfig
	remember func(any) bool
}

// A OnceOption configures a Once.
type OnceOption func(*Once)

// Remember sets which replies are remembered. It runs in the actor's turn. Default: those
// that are not an error, nor actors.Rejected.
func Remember(these func(reply any) bool) OnceOption {
	return func(o *Once) {
		if these != nil {
			o.remember = these
		}
	}
}

// NewOnce returns a Once. The error names every fault of cfg.
func NewOnce(cfg OnceConfig, opts ...OnceOption) (*Once, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	o := &Once{cfg: cfg.withDefaults(), remember: succeeded}
	for _, opt := range opts {
		if opt != nil {
			opt(o)
		}
	}
	return o, nil
}

func succeeded(reply any) bool {
	switch reply.(type) {
	case error, actors.Rejected, *actor.DeadLetterResponse:
		return false
	}
	return true
}

// Attach is an actor.PropsOption. It adds a context decorator to the props: put it before
// those of package middleware, so that what is answered from memory needs no permit. For
// the actor, the Sender of a request is then a process of this package, which passes the
// reply on, by whatever way it comes.
func (o *Once) Attach(props *actor.Props) {
	actor.WithContextDecorator(func(next actor.ContextDecoratorFunc) actor.ContextDecoratorFunc {
		return func(c actor.Context) actor.Context {
			return &memory{Context: next(c), once: o, known: map[ID]*entry{}, working: list.New(), answered: list.New()}
		}
	})(props)
}

// Inspect asks an actor that has a Once for a OnceSnapshot.
type Inspect struct{}

// Lane is Urgent.
func (Inspect) Lane() mailbox.Lane { return mailbox.Urgent }

// OnceSnapshot is what a Once has done for one actor since it was spawned. At every moment
//
//	Asked = Begun + Joined + Replayed + Expired + Refused
type OnceSnapshot struct {
	Asked    uint64 // requests of Exchangers
	Begun    uint64 // that the actor got
	Joined   uint64 // that waited for the reply to an earlier one
	Replayed uint64 // that were answered from memory
	Expired  uint64 // that came after their deadline
	Refused  uint64 // for which there was no room

	Working    int    // requests without a reply
	Remembered int    // replies
	Forgotten  uint64 // replies that were forgotten before their TTL, for want of room
}

// memory is what a Once is for one actor. It outlives the actor's restarts, and belongs to
// its turn.
type memory struct {
	actor.Context
	once     *Once
	known    map[ID]*entry
	working  *list.List // of entries without a reply, oldest first
	answered *list.List // of those with one, oldest first
	seen     OnceSnapshot
}

// entry is a request.
type entry struct {
	id      ID
	message any
	relay   *relay
	pid     *actor.PID // of the relay
	joined  []*actor.PID
	at      *list.Element
	until   time.Time // it is forgotten then
	done    bool
	reply   any
}

// Receive is called by proto.actor for every message, in the actor's turn.
func (m *memory) Receive(envelope *actor.MessageEnvelope) {
	switch msg := envelope.Message.(type) {
	case *settled:
		if msg.of.relay.memory == m {
			m.settle(msg)
			return
		}
	case Inspect:
		m.reply(envelope.Sender, m.snapshot())
		return
	case *actor.Restarting:
		m.abandon(ErrRestarting)
	case *actor.Stopping, *actor.Stopped:
		m.abandon(ErrStopping)
	}
	now := time.Now()
	a, ok := read(envelope.GetHeader(header), m.ActorSystem().ID, now)
	if !ok || envelope.Sender == nil {
		m.Context.Receive(envelope)
		return
	}
	m.seen.Asked++
	m.purge(now)
	m.serve(a, envelope, now)
}

func (m *memory) serve(a Attempt, envelope *actor.MessageEnvelope, now time.Time) {
	e := m.known[a.ID]
	switch {
	case e != nil && e.done:
		m.seen.Replayed++
		m.reply(envelope.Sender, e.reply)
	case e != nil && len(e.joined) < maxJoined:
		m.seen.Joined++
		e.joined = append(e.joined, envelope.Sender)
	case !now.Before(a.Deadline):
		m.seen.Expired++
		refuse(m.Context, envelope, ErrExpired)
	case e != nil || !m.room():
		m.seen.Refused++
		refuse(m.Context, envelope, ErrFull)
	default:
		m.seen.Begun++
		m.work(m.enter(a.ID, envelope, now), envelope)
	}
}

// room makes room for one more, if there is none.
func (m *memory) room() bool {
	if len(m.known) < m.once.cfg.Capacity {
		return true
	}
	oldest := m.answered.Front()
	if oldest == nil {
		return false
	}
	m.seen.Forgotten++
	m.forget(oldest.Value.(*entry))
	return true
}

func (m *memory) enter(id ID, envelope *actor.MessageEnvelope, now time.Time) *entry {
	e := &entry{id: id, message: envelope.Message, until: now.Add(m.once.cfg.TTL)}
	e.relay = &relay{memory: m, entry: e, system: m.ActorSystem(), self: m.Self(), to: envelope.Sender, first: make(chan struct{}, 1)}
	e.pid, _ = e.relay.system.ProcessRegistry.Add(e.relay, "once"+e.relay.system.ProcessRegistry.NextId())
	e.at = m.working.PushBack(e)
	m.known[id] = e
	return e
}

// work has the actor handle the request. If it panics, who asked is answered here, as it may
// have a mailbox that does not.
func (m *memory) work(e *entry, envelope *actor.MessageEnvelope) {
	done := false
	defer func() {
		if !done {
			m.giveUp(e, mailbox.ErrPanicked)
		}
	}()
	m.Context.Receive(&actor.MessageEnvelope{Header: envelope.Header, Message: envelope.Message, Sender: e.pid})
	done = true
}

// settle takes the reply of an entry, unless it was given up.
func (m *memory) settle(s *settled) {
	e := s.of
	if m.known[e.id] != e || e.done {
		return
	}
	m.close(e)
	for _, to := range e.joined {
		m.reply(to, s.reply)
	}
	e.joined = nil
	if !m.remembers(s.reply) {
		m.forget(e)
		return
	}
	m.working.Remove(e.at)
	e.done, e.reply, e.message = true, s.reply, nil
	e.until = time.Now().Add(m.once.cfg.TTL)
	e.at = m.answered.PushBack(e)
}

// remembers asks foreign code.
func (m *memory) remembers(reply any) (yes bool) {
	defer func() {
		if recover() != nil {
			yes = true // rather than do it twice
		}
	}()
	return m.once.remember(reply)
}

// purge forgets what is too old.
func (m *memory) purge(now time.Time) {
	for front := m.answered.Front(); front != nil && !now.Before(front.Value.(*entry).until); front = m.answered.Front() {
		m.forget(front.Value.(*entry))
	}
	for front := m.working.Front(); front != nil && !now.Before(front.Value.(*entry).until); front = m.working.Front() {
		e := front.Value.(*entry)
		m.drop(e, e.relay.take(), ErrForgotten)
	}
}

// abandon gives up what the actor works on: the instance that began it ends.
func (m *memory) abandon(reason error) {
	var next *list.Element
	for at := m.working.Front(); at != nil; at = next {
		next = at.Next()
		m.giveUp(at.Value.(*entry), reason)
	}
}

// giveUp is drop, unless there is a reply on its way.
func (m *memory) giveUp(e *entry, reason error) {
	if m.known[e.id] == e && !e.done && e.relay.take() {
		m.drop(e, true, reason)
	}
}

// drop tells all who wait for an entry that nothing comes of it, and forgets it. Whether the
// first of them does wait, the caller knows.
func (m *memory) drop(e *entry, first bool, reason error) {
	m.close(e)
	m.forget(e)
	waiting := e.joined
	if first {
		waiting = append(waiting, e.relay.to)
	}
	for _, to := range waiting {
		answer(m.ActorSystem(), m.Self(), to, mailbox.Undelivered{Message: e.message, Reason: reason})
	}
}

// close removes the relay.
func (m *memory) close(e *entry) { m.ActorSystem().ProcessRegistry.Remove(e.pid) }

func (m *memory) forget(e *entry) {
	delete(m.known, e.id)
	if e.done {
		m.answered.Remove(e.at)
	} else {
		m.working.Remove(e.at)
	}
}

func (m *memory) reply(to *actor.PID, msg any) {
	if to != nil {
		m.ActorSystem().Root.Send(to, msg)
	}
}

func (m *memory) snapshot() OnceSnapshot {
	s := m.seen
	s.Working, s.Remembered = m.working.Len(), m.answered.Len()
	return s
}

// relay is the process that the actor replies to. It passes the first reply on, and tells
// the actor's memory. It may run on any goroutine.
type relay struct {
	memory *memory
	entry  *entry
	system *actor.ActorSystem
	self   *actor.PID
	to     *actor.PID
	first  chan struct{} // whoever puts something in answers
}

// take reports whether nobody has answered before.
func (r *relay) take() bool {
	select {
	case r.first <- struct{}{}:
		return true
	default:
		return false
	}
}

// SendUserMessage implements actor.Process.
func (r *relay) SendUserMessage(_ *actor.PID, msg any) {
	if !r.take() {
		return
	}
	r.system.Root.Send(r.to, msg)
	r.system.Root.Send(r.self, &settled{of: r.entry, reply: actor.UnwrapEnvelopeMessage(msg)})
}

// SendSystemMessage implements actor.Process.
func (*relay) SendSystemMessage(*actor.PID, any) {}

// Stop implements actor.Process.
func (*relay) Stop(*actor.PID) {}

// settled tells a memory of a reply.
type settled struct {
	urgent
	of    *entry
	reply any
}

// DropExpired is receiver middleware for actors that are asked: a request whose deadline
// has passed is not served, but refused with a *RefusedError that matches ErrExpired. A
// Once does the same.
func DropExpired(next actor.ReceiverFunc) actor.ReceiverFunc {
	return func(c actor.ReceiverContext, envelope *actor.MessageEnvelope) {
		now := time.Now()
		if a, ok := read(envelope.GetHeader(header), c.ActorSystem().ID, now); ok && !now.Before(a.Deadline) {
			refuse(c, envelope, ErrExpired)
			return
		}
		next(c, envelope)
	}
}

// place is what refuse needs of a context.
type place interface {
	ActorSystem() *actor.ActorSystem
	Self() *actor.PID
}

func refuse(at place, envelope *actor.MessageEnvelope, reason error) {
	answer(at.ActorSystem(), at.Self(), envelope.Sender, &RefusedError{To: at.Self(), Message: envelope.Message, Reason: reason})
}

// answer tells whoever asked that there is no reply. To another node, which errors cannot
// be sent to, it is that there is no such actor.
func answer(system *actor.ActorSystem, self, to *actor.PID, refusal error) {
	switch {
	case to == nil:
	case to.Address == self.Address:
		system.Root.Send(to, refusal)
	default:
		system.Root.Send(to, &actor.DeadLetterResponse{Target: self})
	}
}
