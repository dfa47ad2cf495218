package mailbox

import (
	"sync"
	"sync/atomic"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/bulwark-go/bulwark/mailbox/internal/shelf"
)

// box is what the mailbox of a user actor has beside the ownership core, which it leaves
// alone: who runs, suspension, gates, failures and stops are the core's. It decides where
// a message goes, which has to go instead, and who hears of it.
type box struct {
	*settings
	m *Combining

	drops   counters
	faults  atomic.Uint64 // failures of functions that options gave
	fault   atomic.Pointer[string]
	alerted atomic.Bool

	// Owned by the chain of announcements.
	announced  Drops
	faultsTold uint64

	intake intake // where Ordinary messages are queued if there is no shelf

	// mu guards what follows. It is held for moments: no function of the user's runs, no
	// turn runs and nothing is sent under it.
	mu     sync.Mutex
	shelf  *shelf.Shelf[letter] // nil if the intake will do
	read   shelf.Instant        // what the clock said last
	reads  uint                 // how often it was asked for
	dated  bool                 // there was a message with a deadline of its own
	over   error                // why nothing is taken any more
	parked parking
	marks  marks
	credit credits
}

// letter is a message on the shelf.
type letter struct {
	msg    any
	passes uint32    // number of the gate that lets it through, or 0
	from   *producer // whose credit it was sent on, or nil
}

type item = shelf.Item[letter]

// chunks is what shelves are made of.
var chunks sync.Pool

// gone is a message that has left the shelf, to be refused once mu is free.
type gone struct {
	msg    any
	reason error
}

// errands are what is to be done once mu is free.
type errands struct {
	refuse  []gone
	demands []demand
}

// end unlocks mu and runs the errands.
func (b *box) end(e *errands) {
	b.mu.Unlock()
	for _, g := range e.refuse {
		b.m.refuse(g.msg, g.reason)
	}
	for _, d := range e.demands {
		b.send(d)
	}
}

// post is PostUserMessage.
func (b *box) post(msg any) {
	inner := msg
	env, _ := msg.(*actor.MessageEnvelope)
	if env != nil {
		inner = env.Message
	}
	k := kindOf(inner)
	switch {
	case k == usual && b.direct:
		if err := b.take(msg, facts{}); err != nil {
			b.m.refuse(msg, err)
		}
		return
	case k == several:
		expandBatch(inner, b.post)
		return
	case k == command && env != nil:
		b.produce(inner.(Produce), env)
		return
	}
	if err := b.submit(msg, inner, k, nil); err != nil {
		b.m.refuse(msg, err)
	}
}

// submit queues msg, or runs its turn. On an error, which may be errParked if w is not
// nil, msg stays the caller's. inner is msg without its envelope.
func (b *box) submit(msg, inner any, k kind, w *waiter) error {
	switch {
	case k == first:
		return b.enqueue(msg, facts{lane: Urgent}, w)
	case k == last:
		return b.enqueue(msg, facts{last: true}, w)
	case b.simple && k != asking:
		return b.enqueue(msg, facts{}, w)
	}
	return b.submitAsked(msg, inner, w)
}

// submitAsked is submit for a message about which somebody else's function is asked.
func (b *box) submitAsked(msg, inner any, w *waiter) (err error) {
	var f facts
	asked := false
	defer func() {
		if asked {
			return
		}
		// Neither the message nor its sender is to suffer from the user's function.
		exits := b.failed(recover())
		if err = b.enqueue(msg, facts{}, w); err != nil && exits {
			b.m.refuse(msg, err)
		}
	}()
	f = b.ask(inner)
	asked = true
	return b.enqueue(msg, f, w)
}

func (b *box) enqueue(msg any, f facts, w *waiter) error {
	m := b.m
	if f.deadline != 0 && f.deadline <= m.instant() && m.word.Load()&unopened == 0 {
		return ErrExpired
	}
	if m.cfg.Inline && b.high == 0 && m.word.CompareAndSwap(0, running) {
		m.begin()
		m.receive(msg)
		m.Exit()
		return nil
	}
	switch {
	case f.lane == Urgent:
	case b.shelf != nil:
		return b.shelve(msg, f, w)
	default:
		return b.take(msg, f)
	}
	n := plainNode(msg)
	err := m.Post(n, f.lane)
	if err != nil {
		n.recycle()
	}
	return err
}

// shelve puts msg onto the shelf.
func (b *box) shelve(msg any, f facts, w *waiter) error {
	m := b.m
	var passes uint32
	if m.word.Load()&barred != 0 {
		var err error
		if passes, err = m.bar(msg, true, Ordinary); err != nil {
			return err
		}
	}
	forced := !m.refusable(msg, true) // one that trails, or is early
	var e errands
	b.mu.Lock()
	b.dated = b.dated || f.deadline != 0
	it := item{Message: letter{msg: msg, passes: passes}, Lane: f.priority, Cost: f.cost, Deadline: f.deadline, Since: b.now()}
	if it.Deadline == 0 && b.ttl > 0 {
		it.Deadline = it.Since + shelf.Instant(b.ttl)
	}
	switch {
	case b.over != nil:
		b.end(&e)
		return b.over
	case passes != 0 || f.last: // a poison pill, or for a gate
		b.shelf.PushLast(it)
	case forced || b.spend(&it) || b.makeRoom(&it, &e):
		b.shelf.Push(it)
		b.pressed(&e)
	case w != nil && b.park(it, w):
		b.end(&e)
		return errParked
	default:
		b.end(&e)
		return ErrFull
	}
	m.depth.Add(1)
	b.end(&e)
	m.announceOrdinary(passes != 0)
	return nil
}

// makeRoom does what is to be done when the mailbox is full, and reports whether there is
// room now. Those who are parked come first.
func (b *box) makeRoom(it *item, e *errands) bool {
	if b.maxCost > 0 && it.Cost > b.maxCost || b.parked.len() > 0 {
		return false
	}
	drop := func(it item, why shelf.Why) { b.dropped(it, why, e) }
	switch {
	case b.shelf.Room(it.Since, it.Cost):
		return true
	case b.full == DropOldest:
		return b.shelf.DropOldest(it.Since, it.Cost, drop)
	case b.full == DropLowest:
		return b.shelf.DropBelow(it.Since, it.Lane, it.Cost, drop)
	}
	return b.shelf.Expire(it.Since, it.Cost, drop)
}

// dropped notes that an item has left the shelf without being served.
func (b *box) dropped(it item, why shelf.Why, e *errands) {
	e.refuse = append(e.refuse, gone{it.Message.msg, errorOf(why)})
	b.left(&it)
}

// left notes that an item has left the shelf, so that there are never more than may be. b.mu
// is held.
func (b *box) left(it *item) {
	b.m.depth.Add(-1)
	if p := it.Message.from; p != nil {
		p.queued--
		b.restock(p)
	}
}

// pop returns the message whose turn it is. It is called in a turn.
func (b *box) pop() (letter, bool) {
	var e errands
	b.mu.Lock()
	now := b.now()
	drop := func(it item, why shelf.Why) { b.dropped(it, why, &e) }
	it, ok := b.shelf.Pop(now, drop)
	for !ok && b.admit(now) { // all were dropped, and those who were parked have come
		it, ok = b.shelf.Pop(now, drop)
	}
	if ok {
		b.m.tally.maxDepth = max(b.m.tally.maxDepth, b.m.depth.Load())
		b.left(&it)
	}
	b.vacated(now, &e)
	b.end(&e)
	return it.Message, ok
}

// vacated does what can be done now that there is more room.
func (b *box) vacated(now shelf.Instant, e *errands) (admitted bool) {
	admitted = b.admit(now)
	b.pressed(e)
	b.supply(e)
	return admitted
}

// purge refuses what p does not let through.
func (b *box) purge(p purgatory) {
	if b.shelf == nil {
		b.purgeIntake(p)
		return
	}
	var e errands
	b.mu.Lock()
	b.shelf.Filter(func(it *item) bool {
		return b.m.stays(it.Message.msg, true, it.Message.passes, p)
	}, func(it item) {
		b.m.refused.Add(1)
		e.refuse = append(e.refuse, gone{it.Message.msg, p.reason})
		b.left(&it)
	})
	b.dismiss(p.reason)
	b.vacated(b.now(), &e)
	b.end(&e)
}

// close takes nothing any more, for that reason. What is queued is refused by the turn.
func (b *box) close(reason error) {
	b.reshut()
	b.mu.Lock()
	b.over = reason
	b.dismiss(reason)
	b.endCredits()
	b.mu.Unlock()
}

// serve serves an Ordinary message, if there is one.
func (b *box) serve() {
	if b.shelf != nil {
		b.m.serveShelved()
		return
	}
	if !b.inline && b.m.serveRun() {
		return
	}
	b.m.serveTaken()
}

// serveShelved is serveUser for the shelf.
func (m *Combining) serveShelved() {
	l, ok := m.user.pop()
	if !ok {
		m.word.And(^ordinaryWaits)
		if l, ok = m.user.pop(); !ok { // who saw the flag set announced nothing
			return
		}
		m.word.Or(ordinaryWaits)
	}
	m.tally.fetched()
	m.serveMessage(l.msg, l.passes, 0)
}

// instant is the mailbox's clock, which begins at 1: 0 means none.
// now is the time for the shelf. Reading the clock costs as much as all else, so that it
// is a little old where nothing but statistics depends on it. b.mu is held.
func (b *box) now() shelf.Instant {
	if b.reads++; b.timed || b.dated || b.reads%perSheaf == 1 || b.shelf.Len() == 0 {
		b.read = b.m.instant()
	}
	return b.read
}

func (m *Combining) instant() shelf.Instant { return shelf.Instant(m.clock() + 1) }

// stats adds what the box knows.
func (b *box) stats(s *Stats) {
	w := b.m.word.Load()
	s.Drops, s.Paused, s.Closed = b.drops.load(), w&paused != 0, w&closed != 0
	if b.shelf == nil {
		n := b.intake.len()
		s.Depth += n
		s.MaxDepth = max(s.MaxDepth, s.Depth, int(b.intake.deepest))
		s.OldestAge = max(s.OldestAge, b.intakeAge())
		return
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if since, ok := b.shelf.Oldest(); ok {
		s.OldestAge = max(s.OldestAge, time.Duration(b.m.instant()-since))
	}
	s.Cost, s.Overloaded = b.shelf.Cost(), b.shelf.Overloaded()
	s.Parked, s.Credits, s.Pressed = b.parked.len(), b.shelf.Reserved, b.marks.high
}
