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

// maxIdle is how many targets to which nothing is out stay watched. To watch one anew for
// each request would cost more than the request.
const maxIdle = 64

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
	By     time.Time // when it times out
	// Done is called once, in the actor's turn, unless the errand is forgotten.
	Done func(reply any, end End)

	id    uint32
	index int // in the heap
	peer  *peer
}

// peer is a target that is watched.
type peer struct {
	pid *actor.PID
	key string
	out int
}

// Desk keeps the errands of one actor. It belongs to the actor's turn.
type Desk struct {
	system *actor.ActorSystem
	self   *actor.PID
	port   *actor.PID // nil until it is needed
	last   uint32
	open   map[uint32]*Errand
	due    byTime
	peers  map[string]*peer
	idle   int
	timer  *time.Timer
	armed  time.Time // zero if the timer is not running
}

// New returns the desk of the actor self.
func New(system *actor.ActorSystem, self *actor.PID) *Desk {
	return &Desk{system: system, self: self, open: map[uint32]*Errand{}, peers: map[string]*peer{}}
}

// Len is how many errands are out.
func (d *Desk) Len() int { return len(d.open) }

// Send sends envelope to the errand's target, with a sender whose replies come to this
// desk. post is how the actor sends.
func (d *Desk) Send(e *Errand, envelope *actor.MessageEnvelope, post func(*actor.PID, any)) {
	if d.port == nil {
		d.port, _ = d.system.ProcessRegistry.Add(&port{d.system, d.self, d}, "errands"+d.system.ProcessRegistry.NextId())
	}
	e.id = d.next()
	d.open[e.id] = e
	heap.Push(&d.due, e)
	d.arm()
	envelope.Sender = &actor.PID{Address: d.port.Address, Id: d.port.Id, RequestId: e.id}
	e.peer = d.peer(e.Target)
	post(e.Target, envelope)
	if e.peer.out++; e.peer.out == 1 {
		d.watch(e.peer) // last, so that there being no such actor is told from its stopping
	}
}

func (d *Desk) next() uint32 {
	for {
		if d.last++; d.last != 0 && d.open[d.last] == nil {
			return d.last
		}
	}
}

// peer returns the target's, which is new, or was idle, if its out is 0.
func (d *Desk) peer(pid *actor.PID) *peer {
	key := pid.Address + "/" + pid.Id
	p := d.peers[key]
	switch {
	case p == nil:
		p = &peer{pid: pid, key: key}
	case p.out == 0:
		d.idle--
	}
	return p
}

// watch watches the peer, unless it has been idle and is watched already.
func (d *Desk) watch(p *peer) {
	if d.peers[p.key] == nil {
		d.peers[p.key] = p
		process, _ := d.system.ProcessRegistry.Get(p.pid) // of dead letters, if there is no other
		process.SendSystemMessage(p.pid, &actor.Watch{Watcher: d.port})
	}
}

// take removes an errand.
func (d *Desk) take(e *Errand) {
	delete(d.open, e.id)
	heap.Remove(&d.due, e.index)
	if e.peer.out--; e.peer.out > 0 || d.peers[e.peer.key] != e.peer {
		return
	}
	if d.idle++; d.idle > maxIdle {
		d.unwatchIdle()
	}
}

func (d *Desk) unwatchIdle() {
	for _, p := range d.peers {
		if p.out == 0 {
			delete(d.peers, p.key)
			if process, there := d.system.ProcessRegistry.Get(p.pid); there {
				process.SendSystemMessage(p.pid, &actor.Unwatch{Watcher: d.port})
			}
		}
	}
	d.idle = 0
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
	p := d.peers[who.Address+"/"+who.Id]
	if p == nil {
		return
	}
	delete(d.peers, p.key)
	if p.out == 0 {
		d.idle--
	}
	for e := range d.of(p) {
		d.take(e)
		e.Done(nil, Terminated)
	}
}

// of yields the errands to p, the oldest first.
func (d *Desk) of(p *peer) func(func(*Errand) bool) {
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
	d.unwatchIdle()
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
