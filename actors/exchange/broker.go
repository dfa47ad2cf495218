package exchange

import (
	"log/slog"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/bulwark-go/bulwark/actors/internal/errands"
	"github.com/bulwark-go/bulwark/actors/internal/outbox"
	"github.com/bulwark-go/bulwark/mailbox"
)

// What the broker is told, besides of a try.
type (
	// begun comes from the asker's turn, before all else about the exchange.
	begun struct {
		urgent
		of *exchange
	}
	// dropped says that nobody waits for the reply to an attempt any more.
	dropped struct {
		urgent
		try *try
	}
	// ended is the last of an exchange.
	ended struct {
		urgent
		of    *exchange
		reply any
		err   error
	}
	cancelled struct {
		urgent
		id ID
	}
	// left says that an asker restarts.
	left struct {
		urgent
		asker *actor.PID
	}
	refused struct{ urgent }
	stop    struct{ urgent }
	inspect struct{ urgent }
)

// urgent is what all of them are: there are only so many, and they end work.
type urgent struct{}

// Lane is Urgent.
func (urgent) Lane() mailbox.Lane { return mailbox.Urgent }

// IgnoreDeadLetterLogging says that there is nothing to log.
func (urgent) IgnoreDeadLetterLogging() {}

// broker is the Exchanger's actor: it knows which exchanges are under way, for whom, and
// which attempts are out. It outlives its incarnations. Its turns run on the goroutines of
// those who tell it something, so that what it sends leaves after them.
type broker struct {
	x      *Exchanger
	self   *actor.PID
	box    *mailbox.Combining
	out    outbox.Outbox
	gripe  func(any) // hears of foreign code that panicked
	desk   *errands.Desk
	peers  errands.Peers
	askers map[string]*asker
	open   map[ID]*exchange
	seen   Snapshot
	over   bool
}

// asker is an actor that has asked for something, and is watched.
type asker struct {
	key  string
	peer *errands.Peer
	open map[*exchange]struct{}
}

func newBroker(x *Exchanger) *broker {
	b := &broker{x: x, askers: map[string]*asker{}, open: map[ID]*exchange{}}
	b.out.Init()
	b.gripe = func(reason any) {
		x.system.Logger().Error("what a request between actors ran into panicked", slog.Any("panic", reason))
	}
	b.peers = errands.NewPeers(b.tellSystem)
	b.box = mailbox.NewCombining(mailbox.Config{Inline: true, Handler: b})
	return b
}

// Receive is the broker's turn.
func (b *broker) Receive(c actor.Context) {
	switch m := c.Message().(type) {
	case *actor.Started:
		if b.desk == nil {
			b.self = c.Self()
			b.desk = errands.NewTelling(b.x.system, b.self, b.tellSystem)
		}
	case errands.Note:
		b.desk.Handle(m)
	case *try:
		b.try(m)
	case dropped:
		b.desk.Drop(&m.try.errand)
	case begun:
		b.begin(m.of)
	case ended:
		b.end(m)
	case cancelled:
		for e := b.open[m.id]; e != nil; e = e.twin {
			e.cancel(ErrCancelled)
		}
	case left:
		b.leave(m.asker)
	case *actor.Terminated:
		b.peers.Gone(m.Who)
		b.leave(m.Who)
	case refused:
		b.seen.Refused++
	case stop:
		b.stop()
	case inspect:
		s := b.seen
		s.Late = b.desk.Late()
		b.post(c.Sender(), s)
	case *actor.Stopped:
		b.desk.Close()
		b.peers.Dismiss(b.self)
	}
}

func keyOf(pid *actor.PID) string { return pid.Address + "/" + pid.Id }

func (b *broker) begin(e *exchange) {
	b.seen.Asked++
	b.seen.InFlight++
	e.twin = b.open[e.id]
	b.open[e.id] = e
	key := keyOf(e.asker)
	a := b.askers[key]
	if a == nil {
		a = &asker{key: key, peer: b.peers.Find(e.asker), open: map[*exchange]struct{}{}}
		b.askers[key] = a
		b.peers.Hold(a.peer, b.self)
	}
	a.open[e] = struct{}{}
	e.home = a
	if b.over {
		e.cancel(ErrStopped)
	}
}

// try sends an attempt.
func (b *broker) try(t *try) {
	e := t.of
	if e.home == nil {
		return // its context has ended
	}
	e.attempts++
	b.seen.Attempts++
	t.number = e.attempts
	t.errand.Target = e.to
	t.errand.Done = func(reply any, end errands.End) { t.came <- came{reply, end} }
	envelope := &actor.MessageEnvelope{Message: e.message}
	if own, ok := e.message.(*actor.MessageEnvelope); ok {
		envelope.Message = own.Message
		for _, k := range own.Header.Keys() {
			envelope.SetHeader(k, own.Header.Get(k))
		}
	}
	envelope.SetHeader(header, Attempt{ID: e.id, Number: t.number, Deadline: t.by}.write(t.left, b.x.system.ID))
	b.desk.Send(&t.errand, envelope, b.post)
}

// end answers the asker, if it still wants to know, and frees the slot.
func (b *broker) end(m ended) {
	e := m.of
	b.forget(e)
	b.seen.InFlight--
	<-b.x.slots
	if e.home == nil {
		b.seen.Abandoned++
		if e.future != nil {
			b.x.system.ProcessRegistry.Remove(e.future)
		}
		return
	}
	b.part(e)
	b.seen.Answered++
	to := e.asker
	if e.future != nil {
		to = e.future
	}
	b.post(to, Answered{
		ID: e.id, To: e.to, Message: e.message, Reply: m.reply, Err: m.err,
		Attempts: e.attempts, Elapsed: time.Since(e.began), instance: e.instance,
	})
}

// forget removes e from those of its ID.
func (b *broker) forget(e *exchange) {
	first := b.open[e.id]
	switch {
	case first == e && e.twin == nil:
		delete(b.open, e.id)
	case first == e:
		b.open[e.id] = e.twin
	default:
		for first.twin != e {
			first = first.twin
		}
		first.twin = e.twin
	}
	e.twin = nil
}

// part takes e from its asker.
func (b *broker) part(e *exchange) {
	a := e.home
	e.home = nil
	delete(a.open, e)
	if len(a.open) == 0 && b.askers[a.key] == a {
		delete(b.askers, a.key)
		b.peers.Free(a.peer, b.self)
	}
}

// leave ends all that an actor has asked for, without an answer.
func (b *broker) leave(who *actor.PID) {
	a := b.askers[keyOf(who)]
	if a == nil {
		return
	}
	for e := range a.open {
		b.part(e)
		e.cancel(errAskerGone)
	}
}

func (b *broker) stop() {
	b.over = true
	for _, a := range b.askers {
		for e := range a.open {
			e.cancel(ErrStopped)
		}
	}
}

func (b *broker) post(to *actor.PID, msg any) {
	if to != nil {
		b.out.Put(outbox.Letter{To: to, Msg: msg})
		b.box.After()
	}
}

func (b *broker) tellSystem(to *actor.PID, msg any) {
	b.out.Put(outbox.Letter{To: to, Msg: msg, System: true})
	b.box.After()
}

// After implements mailbox.Handler.
func (b *broker) After() { b.out.Send(b.x.system, b.gripe) }

// Turn implements mailbox.Handler. Nobody posts Nodes.
func (*broker) Turn(*mailbox.Node) {}

// Refuse implements mailbox.Handler.
func (*broker) Refuse(*mailbox.Node, error) {}
