// Package errands keeps the requests that an actor has out, without a future for each:
// one process takes the replies to all of them, which it tells apart by the RequestId of
// the PID that they are sent to, one timer ends those that take too long, and one watch a
// target tells of those that stopped.
package errands

import (
	"cmp"
	"container/heap"
	"slices"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/bulwark-go/bulwark/mailbox"
)

// End says how an errand ended.
type End uint8

const (
	Replied    End = iota
	TimedOut       // no reply came in time
	DeadLetter     // there was no such actor
	Terminated     // the target stopped
)

// Errand is one request. Its fields are set before it is sent.
type Errand struct {
	Target *actor.PID
	By     time.Time // when it times out; zero for never
	// Done is called once, in the actor's turn, unless the errand is forgotten.
	Done func(reply any, end End)

	id    uint32
	index int // in the heap
	peer  *Peer
}

// Desk keeps the errands of one actor. It belongs to the actor's turn.
type Desk struct {
	system *actor.ActorSystem
	self   *actor.PID
	port   *actor.PID // nil until it is needed
	last   uint32
	open   map[uint32]*Errand
	due    byTime
	peers  Peers
	timer  *time.Timer
	armed  time.Time // zero if the timer is not running
	late   uint64
}

// New returns the desk of the actor self.
func New(system *actor.ActorSystem, self *actor.PID) *Desk {
	return NewTelling(system, self, func(pid *actor.PID, msg any) {
		process, there := system.ProcessRegistry.Get(pid) // of dead letters, if there is no other
		if _, parting := msg.(*actor.Unwatch); there || !parting {
			process.SendSystemMessage(pid, msg)
		}
	})
}

// NewTelling is New for an actor that sends system messages its own way.
func NewTelling(system *actor.ActorSystem, self *actor.PID, tell func(*actor.PID, any)) *Desk {
	return &Desk{system: system, self: self, open: map[uint32]*Errand{}, peers: NewPeers(tell)}
}

// Len is how many errands are out.
func (d *Desk) Len() int { return len(d.open) }

// Late is how many replies there were that came after the end of their errand, or second.
func (d *Desk) Late() uint64 { return d.late }

// Send sends envelope to the errand's target, with a sender whose replies come to this
// desk. post is how the actor sends.
func (d *Desk) Send(e *Errand, envelope *actor.MessageEnvelope, post func(*actor.PID, any)) {
	if d.port == nil {
		d.port, _ = d.system.ProcessRegistry.Add(&port{d.system, d.self, d}, "errands"+d.system.ProcessRegistry.NextId())
	}
	e.id = d.next()
	d.open[e.id] = e
	if e.index = -1; !e.By.IsZero() {
		heap.Push(&d.due, e)
		d.arm()
	}
	envelope.Sender = &actor.PID{Address: d.port.Address, Id: d.port.Id, RequestId: e.id}
	e.peer = d.peers.Find(e.Target)
	post(e.Target, envelope)
	d.peers.Hold(e.peer, d.port) // last, so that there being no such actor is told from its stopping
}

func (d *Desk) next() uint32 {
	for {
		if d.last++; d.last != 0 && d.open[d.last] == nil {
			return d.last
		}
	}
}

// Drop ends an errand, if it has not ended: its Done is not called.
func (d *Desk) Drop(e *Errand) {
	if d.open[e.id] == e {
		d.take(e)
	}
}

// take removes an errand.
func (d *Desk) take(e *Errand) {
	delete(d.open, e.id)
	if e.index >= 0 {
		heap.Remove(&d.due, e.index)
	}
	d.peers.Free(e.peer, d.port)
}

// arm sets the timer to the first deadline, unless it goes off before that anyway.
func (d *Desk) arm() {
	if len(d.due) == 0 {
		return
	}
	first := d.due[0].By
	if !d.armed.IsZero() && !first.Before(d.armed) {
		return
	}
	d.armed = first
	if d.timer == nil {
		system, self, tick := d.system, d.self, &due{desk: d}
		d.timer = time.AfterFunc(time.Until(first), func() { system.Root.Send(self, tick) })
		return
	}
	d.timer.Reset(time.Until(first))
}

// Handle takes msg, in the actor's turn, if this desk has sent it.
func (d *Desk) Handle(msg any) bool {
	switch msg := msg.(type) {
	case *answer:
		if msg.desk == d {
			d.answered(msg)
			return true
		}
	case *gone:
		if msg.desk == d {
			d.terminated(msg.who)
			return true
		}
	case *due:
		if msg.desk == d {
			d.overdue()
			return true
		}
	}
	return false
}

// answered ends the errand, unless it has ended before: then the reply is late, or the
// second one, and nobody's.
func (d *Desk) answered(a *answer) {
	e := d.open[a.id]
	if e == nil {
		d.late++
		return
	}
	d.take(e)
	if _, dead := a.reply.(*actor.DeadLetterResponse); dead {
		e.Done(nil, DeadLetter)
		return
	}
	e.Done(a.reply, Replied)
}

func (d *Desk) overdue() {
	d.armed = time.Time{}
	defer d.arm() // even if a Done panics
	now := time.Now()
	for len(d.due) > 0 && !now.Before(d.due[0].By) {
		e := d.due[0]
		d.take(e)
		e.Done(nil, TimedOut)
	}
}

func (d *Desk) terminated(who *actor.PID) {
	p := d.peers.Gone(who)
	if p == nil {
		return
	}
	for e := range d.of(p) {
		d.take(e)
		e.Done(nil, Terminated)
	}
}

// of yields the errands to p, the oldest first.
func (d *Desk) of(p *Peer) func(func(*Errand) bool) {
	var all []*Errand
	for _, e := range d.open {
		if e.peer == p {
			all = append(all, e)
		}
	}
	slices.SortFunc(all, func(a, b *Errand) int { return cmp.Compare(a.id, b.id) })
	return slices.Values(all)
}

// Forget drops all errands: their Done is not called.
func (d *Desk) Forget() {
	for _, e := range d.open {
		d.take(e)
	}
}

// Close is Forget for an actor that has stopped.
func (d *Desk) Close() {
	d.Forget()
	d.peers.Dismiss(d.port)
	if d.timer != nil {
		d.timer.Stop()
	}
	if d.port != nil {
		d.system.ProcessRegistry.Remove(d.port)
		d.port = nil
	}
}

// port is the process that replies are sent to. It may run on any goroutine.
type port struct {
	system *actor.ActorSystem
	self   *actor.PID
	desk   *Desk
}

// SendUserMessage implements actor.Process.
func (p *port) SendUserMessage(pid *actor.PID, msg any) {
	p.system.Root.Send(p.self, &answer{desk: p.desk, id: pid.GetRequestId(), reply: actor.UnwrapEnvelopeMessage(msg)})
}

// SendSystemMessage implements actor.Process.
func (p *port) SendSystemMessage(_ *actor.PID, msg any) {
	if t, ok := msg.(*actor.Terminated); ok {
		p.system.Root.Send(p.self, &gone{desk: p.desk, who: t.Who})
	}
}

// Stop implements actor.Process.
func (*port) Stop(*actor.PID) {}

// A Note is a message from a desk to itself, which the actor must pass to Handle.
type Note interface{ note() }

type (
	answer struct {
		urgent
		desk  *Desk
		id    uint32
		reply any
	}
	gone struct {
		urgent
		desk *Desk
		who  *actor.PID
	}
	due struct {
		urgent
		desk *Desk
	}
)

// urgent is what all notes are: they end work, and come too late without harm.
type urgent struct{}

func (urgent) note() {}

// Lane is Urgent.
func (urgent) Lane() mailbox.Lane { return mailbox.Urgent }

// IgnoreDeadLetterLogging says that there is nothing to log.
func (urgent) IgnoreDeadLetterLogging() {}

// byTime is a heap.
type byTime []*Errand

func (h byTime) Len() int           { return len(h) }
func (h byTime) Less(i, j int) bool { return h[i].By.Before(h[j].By) }
func (h byTime) Swap(i, j int) {
	h[i], h[j] = h[j], h[i]
	h[i].index, h[j].index = i, j
}

// Push implements heap.Interface.
func (h *byTime) Push(x any) {
	e := x.(*Errand)
	e.index = len(*h)
	*h = append(*h, e)
}

// Pop implements heap.Interface.
func (h *byTime) Pop() any {
	old := *h
	e := old[len(old)-1]
	old[len(old)-1] = nil
	*h = old[:len(old)-1]
	return e
}
