package mailbox

import (
	"slices"

	"github.com/asynkron/protoactor-go/actor"
)

const (
	// MaxWindow is the largest Window of a Produce.
	MaxWindow = 1 << 16
	// MaxProducers is how many actors one mailbox gives credits to.
	MaxProducers = 1 << 12
)

// Produce asks for credits. It is sent with Request to an actor whose mailbox has
// WaterMarks, and says that the sender is an actor that produces messages for it, and
// would like to have Window of them under way, at most. The mailbox answers, and not the
// actor: with a Demand now, if there is room, and with others as the queue drains, until a
// Produce with a Window of 0 or the producer's end. Another Produce takes back what is left of the credits given before: a
// producer with a new Ref ignores Demands with an older one.
//
// A credit is spent by a message that comes with the producer as its sender, as with
// Request. Its place is kept: it is not refused for lack of room. Messages beyond the
// credits are like anybody's. Credits together with what is queued stay below the high
// mark, producers have equal shares of that, and after the high mark was reached nothing
// is given until the low mark.
type Produce struct {
	Ref    uint64
	Window int // 0 to 65,536
}

// Demand gives a producer N more credits to send to From. It is never shed.
type Demand struct {
	From *actor.PID
	Ref  uint64
	N    int
}

// Refused drops a Demand that is not delivered: its producer is gone.
func (Demand) Refused(error) any { return nil }

// producer is an actor that has credits, or would like some.
type producer struct {
	pid    *actor.PID
	ref    uint64
	window int
	out    int  // credits that it has not spent
	queued int  // messages of its that were sent on credit, and are queued
	due    bool // it is in credits.due
}

// credits are what producers were promised.
type credits struct {
	by      map[string]*producer
	due     []*producer // may have some, the longest waiting first
	watcher *actor.PID  // hears of their ends
}

type demand struct {
	to *actor.PID
	Demand
}

func keyOf(pid *actor.PID) string { return pid.Address + "/" + pid.Id }

// produce serves a Produce.
func (b *box) produce(p Produce, env *actor.MessageEnvelope) {
	if err := b.enlist(p, env.Sender); err != nil {
		b.m.refuse(env, err)
	}
}

func (b *box) enlist(msg Produce, sender *actor.PID) error {
	h := &b.m.host
	switch {
	case b.high == 0 || sender == nil || h.system == nil || msg.Window < 0 || msg.Window > MaxWindow:
		return ErrNoCredits
	case b.m.word.Load()&stopped != 0:
		return ErrStopped
	}
	watcher := b.watcher()
	var e errands
	b.mu.Lock()
	if b.over != nil {
		b.end(&e)
		return b.over
	}
	c, key := &b.credit, keyOf(sender)
	if c.by[key] == nil && len(c.by) >= MaxProducers {
		b.end(&e)
		return ErrNoCredits
	}
	known := c.by[key] != nil
	b.dropProducer(key)
	if msg.Window > 0 {
		p := &producer{pid: sender, ref: msg.Ref, window: msg.Window}
		if c.by == nil {
			c.by = map[string]*producer{}
		}
		c.by[key] = p
		c.want(p)
	}
	looks := b.vacated(b.now(), &e)
	b.end(&e)
	if looks {
		b.m.announceOrdinary(false)
	}
	if msg.Window > 0 && !known {
		b.system(sender, &actor.Watch{Watcher: watcher})
	} else if msg.Window == 0 && known {
		b.system(sender, &actor.Unwatch{Watcher: watcher})
	}
	return nil
}

// share is how many credits and messages of its p may have.
func (b *box) share(p *producer) int { return min(p.window, max(1, b.high/max(1, len(b.credit.by)))) }

// restock gives p more once it has used half of its share, so that a Demand is seldom for
// one. b.mu is held.
func (b *box) restock(p *producer) {
	if p.out+p.queued <= b.share(p)/2 {
		b.credit.want(p)
	}
}

// want puts p at the end of those who may have more.
func (c *credits) want(p *producer) {
	if !p.due && c.by[keyOf(p.pid)] == p {
		p.due = true
		c.due = append(c.due, p)
	}
}

// supply gives credits to those who may have more. b.mu is held.
func (b *box) supply(e *errands) {
	c := &b.credit
	for len(c.due) > 0 && !b.marks.high {
		free := b.high - b.shelf.Count() - b.shelf.Reserved
		if free <= 0 || b.parked.len() > 0 {
			return
		}
		p := c.due[0]
		c.due = slices.Delete(c.due, 0, 1)
		p.due = false
		n := min(free, b.share(p)-p.out-p.queued)
		if n <= 0 || c.by[keyOf(p.pid)] != p {
			continue
		}
		p.out += n
		b.shelf.Reserved += n
		e.demands = append(e.demands, demand{p.pid, Demand{From: b.m.host.self, Ref: p.ref, N: n}})
	}
}

// spend takes a credit of it's sender, if there is one. b.mu is held.
func (b *box) spend(it *item) bool {
	if len(b.credit.by) == 0 {
		return false
	}
	sender := actor.UnwrapEnvelopeSender(it.Message.msg)
	if sender == nil {
		return false
	}
	p := b.credit.by[keyOf(sender)]
	if p == nil || p.out == 0 {
		return false
	}
	p.out--
	p.queued++
	b.shelf.Reserved--
	it.Message.from = p
	return true
}

// dropProducer takes back what a producer has. b.mu is held.
func (b *box) dropProducer(key string) {
	c := &b.credit
	p := c.by[key]
	if p == nil {
		return
	}
	b.shelf.Reserved -= p.out
	p.out = 0
	delete(c.by, key)
	if p.due {
		c.due = slices.DeleteFunc(c.due, func(q *producer) bool { return q == p })
	}
}

// endCredits gives nothing any more. b.mu is held.
func (b *box) endCredits() {
	c := &b.credit
	c.by, c.due = nil, nil
	if c.watcher != nil {
		b.m.host.system.ProcessRegistry.Remove(c.watcher)
	}
}

// obituaries is the process that hears of the ends of producers: what the actor itself
// watches is its own business.
type obituaries struct{ *box }

func (obituaries) SendUserMessage(*actor.PID, any) {}
func (obituaries) Stop(*actor.PID)                 {}

func (o obituaries) SendSystemMessage(_ *actor.PID, msg any) {
	t, ok := msg.(*actor.Terminated)
	if !ok {
		return
	}
	b := o.box
	var e errands
	b.mu.Lock()
	looks := false
	if b.over == nil {
		b.dropProducer(keyOf(t.Who))
		looks = b.vacated(b.now(), &e)
		for _, p := range b.credit.by { // shares have grown
			b.restock(p)
		}
		b.supply(&e)
	}
	b.end(&e)
	if looks {
		b.m.announceOrdinary(false)
	}
}

// watcher returns the PID of obituaries, which exists as long as the actor.
func (b *box) watcher() *actor.PID {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.credit.watcher == nil && b.over == nil {
		registry := b.m.host.system.ProcessRegistry
		b.credit.watcher, _ = registry.Add(obituaries{b}, b.m.host.self.Id+"/"+registry.NextId()+"-credits")
	}
	return b.credit.watcher
}

// send delivers a Demand.
func (b *box) send(d demand) {
	if p, ok := b.m.host.system.ProcessRegistry.Get(d.to); ok {
		p.SendUserMessage(d.to, d.Demand)
	}
}

func (b *box) system(to *actor.PID, msg any) {
	if p, ok := b.m.host.system.ProcessRegistry.Get(to); ok {
		p.SendSystemMessage(to, msg)
		return
	}
	// It is gone already: nobody will say so.
	if _, ok := msg.(*actor.Watch); ok {
		obituaries{b}.SendSystemMessage(nil, &actor.Terminated{Who: to})
	}
}
