package actors

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"log/slog"
	"slices"
	"time"

	"github.com/bulwark-go/bulwark/mailbox"
	"github.com/bulwark-go/bulwark/patterns"
)

// maxLost is how many errands may be out beyond their time before no other is sent.
const maxLost = 4

// errands are the requests and questions that the rules have referred to somewhere else. One
// errand is under way at a time, so that what is asked of one key is asked in order;
// meanwhile others queue, and go together. Owned by the turn.
type errands struct {
	referrer Referrer
	context  context.Context // of the errands; ends with the guard
	end      context.CancelFunc

	queue    []errandCall // that were not sent yet, the oldest first
	sent     int          // of them, at the front, those that are on a trip by now
	dead     int          // of the others, those whose requester left
	standing int          // requests that are referred and have no place among the waiters
	loading  *trip        // being made up
	out      *trip        // under way
	home     []*trip      // that are back, the oldest first
	spare    []*trip
	lost     int           // that are out beyond their time
	carrying bool          // there is somebody who sends what there is to send
	resting  bool          // there is somebody who could
	rouse    chan struct{} // wakes whoever rests
	offered  bool          // whose turn it is would carry
	accepted bool          // and is to
	alarm    patterns.Instant
	unload   func() // shell.unload, built once
}

// errandCall is a call on an errand. It is the one that it was as long as the number is the
// same: calls are used again.
type errandCall struct {
	*call
	number uint64
}

func (c errandCall) live() bool { return c.errand == c.number }

// trip is one errand and who it is for.
type trip struct {
	errand patterns.Errand
	calls  []errandCall
	next   int // of calls: the first that has not been told
	due    patterns.Instant
	lost   bool
	err    error
}

// errandAlarm stands for a permit in the deadline at which to look after the trip under way.
const errandAlarm = ^uint64(0)

func newErrands(s *shell, r Referrer) *errands {
	ctx, cancel := context.WithCancel(context.Background())
	return &errands{referrer: r, context: ctx, end: cancel, rouse: make(chan struct{}, 1), alarm: patterns.Never, unload: s.unload}
}

// refer has c wait for an answer from elsewhere. One that waits in the queue keeps its
// place there.
func (s *shell) refer(c *call) {
	e := s.errands
	if e == nil {
		s.turnAway(c, &s.refusals().queueFull)
		return
	}
	if len(e.queue)-e.sent-e.dead >= e.referrer.Room() {
		s.turnAway(c, &s.refusals().overloaded)
		return
	}
	s.sequence++
	c.errand, c.unsent = s.sequence, true
	if c.line == nil {
		s.standBy(c)
	}
	e.queue = append(e.queue, errandCall{c, c.errand})
	s.send()
}

// turnAway refuses c, which may have a place in the queue.
func (s *shell) turnAway(c *call, err error) {
	s.leaveQueue(c)
	s.refuse(c, err)
	s.dismiss(c.holder)
}

// standBy is what enqueue does for one that has no place among the waiters.
func (s *shell) standBy(c *call) {
	if c.kind == callAcquire {
		s.errands.standing++
	}
	if c.holder != nil {
		c.holder.waiting[c] = struct{}{}
	}
	c.waitSequence, c.waitsUntil = c.errand, patterns.Never
	if c.waitsBy != 0 {
		s.deadlines.add(deadline{at: c.waitsBy, waiter: c, sequence: c.waitSequence})
		s.arm()
	}
}

// recall takes c off its errand: what comes back for it is for nobody. It reports whether it
// was on one without a place among the waiters.
func (s *shell) recall(c *call) bool {
	if c.errand == 0 {
		return false
	}
	c.errand = 0
	if c.unsent {
		c.unsent = false
		s.errands.dead++
	}
	if c.line != nil {
		return false
	}
	if c.kind == callAcquire {
		s.errands.standing--
	}
	c.waitSequence = 0
	if c.holder != nil {
		delete(c.holder.waiting, c)
	}
	return true
}

// bury forgets calls in the queue that were recalled, if they are many.
func (e *errands) bury() {
	if e.dead < 64+(len(e.queue)-e.sent)/2 {
		return
	}
	e.shift()
	e.queue = slices.DeleteFunc(e.queue, func(c errandCall) bool { return !c.live() })
	e.dead = 0
}

// afar yields those that wait for an answer from elsewhere and have no other place.
func (s *shell) afar() iter.Seq[*call] {
	return func(yield func(*call) bool) {
		e := s.errands
		if e == nil {
			return
		}
		all := [][]errandCall{e.queue[e.sent:]}
		for _, t := range append([]*trip{e.out, e.loading}, e.home...) {
			if t != nil {
				all = append(all, t.calls[t.next:])
			}
		}
		for _, calls := range all {
			for _, c := range calls {
				if c.live() && c.line == nil && !yield(c.call) {
					return
				}
			}
		}
	}
}

// send sees to it that somebody carries what there is to carry.
func (s *shell) send() {
	e := s.errands
	switch {
	case e.carrying || e.lost >= maxLost || len(e.queue) == e.sent && !e.referrer.Wants(s.last):
		return
	case e.offered && e.referrer.Punctual():
		e.offered, e.accepted = false, true
	case e.resting:
		e.resting = false
		e.rouse <- struct{}{} // there is room: it was empty when the rest began
	default:
		go s.carry(nil)
	}
	e.carrying = true
}

// carry sends errands, one after the other, and rests when there are none. back is one that
// was not taken back yet, or nil. It runs on a goroutine of its own, which stays: the stack
// of a new one would grow with every errand, and that takes as long as all the rest of it.
func (s *shell) carry(back *trip) {
	over := false
	defer func() {
		if !over { // what carried t has ended the goroutine
			go s.carry(back)
		}
	}()
	relieved := false
	c := newCall().(*call)
	load := func() {
		back, relieved = s.load(back)
		s.errands.resting = back == nil && !relieved
	}
	for s.inTurn(c, load) && !relieved {
		if back != nil {
			s.bear(expiring{s.errands.context, s.due(back)}, back)
			continue
		}
		select {
		case <-s.errands.rouse:
			continue
		case <-s.errands.context.Done():
		}
		break
	}
	over = true
}

// inTurn runs f in a turn, and again in the next incarnation if it panics. It returns false
// if the guard has stopped.
func (s *shell) inTurn(c *call, f func()) bool {
	for {
		c.kind, c.control, c.err = callControl, f, nil
		c.state.Store(pending)
		if s.mailbox.Post(&c.node, mailbox.Urgent) != nil {
			return false
		}
		c.await(context.Background(), false)
		if c.err == nil {
			return true
		}
		if errors.Is(c.err, ErrStopped) {
			return false
		}
	}
}

// bear carries a trip's errand, which is foreign code: a panic is an error.
func (s *shell) bear(ctx context.Context, t *trip) {
	done := false
	defer func() {
		if !done {
			t.err = fmt.Errorf("panic: %v", recover())
			s.note(slog.LevelError, "what carries a guard's requests panicked", slog.Any("error", t.err))
		}
	}()
	t.err = t.errand.Carry(ctx)
	done = true
}

// due is when nobody waits for t any more.
func (s *shell) due(t *trip) time.Time { return s.origin.Add(time.Duration(t.due)) }

// expiring is a context with a deadline and no timer: nobody waits after it, which the shell
// sees to.
type expiring struct {
	context.Context
	at time.Time
}

// Deadline is when nobody waits any more.
func (x expiring) Deadline() (time.Time, bool) { return x.at, true }

// load takes back the trip that has come home, if any, and returns the next one, or nil.
// Whoever carries is relieved if somebody else carries on.
func (s *shell) load(back *trip) (next *trip, relieved bool) {
	e := s.errands
	switch {
	case back == nil:
	case back.lost:
		back.lost = false // should this panic, it is counted once
		if e.lost--; e.carrying || e.resting {
			s.tell(s.send) // in a turn of its own: should it panic, this one has ended
			return nil, true
		}
		e.carrying = true
	case e.out == back:
		s.takeHome(back)
	}
	if next = s.depart(); next != nil && len(e.home) > 0 {
		go s.tell(e.unload) // it is to be under way first
		return next, false
	}
	if next == nil {
		s.unload()
		next = s.depart()
	}
	if e.carrying = next != nil; next == nil && s.closing {
		s.checkDrained()
	}
	return next, false
}

// takeHome ends the trip under way.
func (s *shell) takeHome(t *trip) {
	e := s.errands
	e.out = nil
	e.home = append(e.home, t)
	if e.referrer.Return(s.now(), t.errand, t.err) {
		s.settle()
		s.reconsider()
	}
}

// depart makes up a trip of those that wait for one, and returns it if it leaves now.
func (s *shell) depart() *trip {
	e := s.errands
	if e.out != nil || e.lost >= maxLost {
		return nil
	}
	t := e.loading
	if t == nil {
		if n := len(e.spare) - 1; n >= 0 {
			t, e.spare = e.spare[n], e.spare[:n]
		} else {
			t = new(trip)
		}
		e.loading = t
	}
	now := s.now()
	for e.sent < len(e.queue) {
		c := e.queue[e.sent]
		e.sent++ // first: should this panic, it is refused
		if s.dropped(c) {
			continue
		}
		s.serving = c.call
		ok := e.referrer.Load(now, len(t.calls), &c.request, c.question)
		s.serving = nil
		if !ok {
			e.sent--
			c.unsent = true
			break
		}
		t.calls = append(t.calls, c)
	}
	e.shift()
	errand, within := e.referrer.Depart(now, len(t.calls))
	if errand == nil {
		return nil
	}
	t.errand, t.due, e.loading, e.out = errand, now.Add(within), nil, t
	if e.alarm == patterns.Never {
		s.lookAfter(t.due)
	}
	return t
}

// dropped reports whether nobody waits for c any more.
func (s *shell) dropped(c errandCall) bool {
	if !c.live() {
		s.errands.dead--
		return true
	}
	c.unsent = false
	if c.sender != nil || c.state.Load() != abandoned || c.line != nil {
		return false
	}
	s.recall(c.call)
	s.countLeft(c.call)
	return true
}

func (s *shell) countLeft(c *call) {
	if c.kind == callAcquire {
		s.counts.Cancelled++
	}
}

// shift closes the gap of those that were sent.
func (e *errands) shift() {
	rest := copy(e.queue, e.queue[e.sent:])
	clear(e.queue[rest:])
	e.queue, e.sent = e.queue[:rest], 0
}

// lookAfter looks after what is under way at an instant. There is one such alarm at a time:
// to set one for each trip would cost as much as the trip.
func (s *shell) lookAfter(at patterns.Instant) {
	s.errands.alarm = at
	s.deadlines.add(deadline{at: at, permit: errandAlarm})
	s.arm()
}

// overdue gives the trip under way up for lost if its time is over.
func (s *shell) overdue(now patterns.Instant) {
	e := s.errands
	e.alarm = patterns.Never
	t := e.out
	switch {
	case t == nil:
		return
	case t.due > now:
		s.lookAfter(t.due)
		return
	}
	// Whoever carries t may still read it.
	home := &trip{errand: t.errand, calls: t.calls, err: context.DeadlineExceeded}
	t.lost = true
	e.lost++
	e.carrying = false
	s.takeHome(home)
	s.unload()
}
