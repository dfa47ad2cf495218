package mailbox

import (
	"math"
	"sync"
	"sync/atomic"
	"time"

	"github.com/bulwark-go/bulwark/mailbox/internal/shelf"
)

// intake is the queue of a user actor's mailbox that is first in, first out, and refuses
// what is too much. Posters add to it under a lock that they hold for some nanoseconds; the
// turn takes all there is at once, and serves that without a lock. So a poster that finds
// something untaken has nobody to wake, and looks at nothing that the turn writes.
type intake struct {
	mu          sync.Mutex
	shut        bool   // posters must ask the core first
	posted      uint64 // ever
	served      uint64 // of them, as far as posters know
	first, last *sheaf // not taken

	// Owned by the turn, on lines that posters seldom look at.
	_       [cacheLine]byte
	took    *sheaf
	deepest uint64        // the most there ever were, as seen when they were taken
	done    atomic.Uint64 // served or refused
}

// perSheaf is how many messages are in a sheaf. How old one is, is known to within that.
const perSheaf = 32

type sheaf struct {
	next  *sheaf
	since int64 // when the first of it came
	n     int   // up to here there are messages
	at    int   // and from here, once it was taken
	slips [perSheaf]slip
}

type slip struct {
	msg      any
	deadline shelf.Instant // 0 is none
	passes   uint32        // number of the gate that lets it through, or 0
}

var sheaves = sync.Pool{New: func() any { return new(sheaf) }}

// push adds a message, if fewer than capacity are queued. first says that there was
// nothing untaken. q.mu is held.
func (q *intake) push(s slip, capacity int, clock func() int64) (first, ok bool) {
	if q.posted-q.served >= uint64(capacity) {
		if q.served = q.done.Load(); q.posted-q.served >= uint64(capacity) {
			return false, false
		}
	}
	q.posted++
	if first = q.last == nil; first || q.last.n == perSheaf {
		f := sheaves.Get().(*sheaf)
		f.since = clock()
		if first {
			q.first = f
		} else {
			q.last.next = f
		}
		q.last = f
	}
	q.last.slips[q.last.n] = s
	q.last.n++
	return first, true
}

// pop takes the oldest message. It is called in a turn.
func (q *intake) pop() (s slip, ok bool) {
	if q.took == nil && !q.takeAll() {
		return slip{}, false
	}
	t := q.took
	s, t.slips[t.at] = t.slips[t.at], slip{}
	t.at++
	q.done.Store(q.done.Load() + 1)
	if t.at == t.n {
		q.took = t.next
		t.next, t.n, t.at = nil, 0, 0
		sheaves.Put(t)
	}
	return s, true
}

func (q *intake) takeAll() bool {
	q.mu.Lock()
	q.took, q.first, q.last = q.first, nil, nil
	q.deepest = max(q.deepest, q.posted-q.done.Load())
	q.mu.Unlock()
	return q.took != nil
}

func (q *intake) len() int {
	q.mu.Lock()
	defer q.mu.Unlock()
	return int(q.posted - q.done.Load())
}

// oldest returns when the oldest message came. It is called in a turn.
func (q *intake) oldest() (since int64, ok bool) {
	if q.took != nil {
		return q.took.since, true
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.first == nil {
		return 0, false
	}
	return q.first.since, true
}

// filter drops what is not to be kept. It is called in a turn.
func (q *intake) filter(keep func(slip) bool, drop func(any)) {
	var first, last *sheaf
	for s, ok := q.peekSince(); ok; s, ok = q.peekSince() {
		since := q.took.since
		q.pop()
		if !keep(s) {
			drop(s.msg)
			continue
		}
		q.done.Store(q.done.Load() - 1)
		if last == nil || last.n == perSheaf {
			f := sheaves.Get().(*sheaf)
			f.since = since
			if last == nil {
				first = f
			} else {
				last.next = f
			}
			last = f
		}
		last.slips[last.n] = s
		last.n++
	}
	q.took = first
}

// peekSince returns the oldest message, having taken what there is.
func (q *intake) peekSince() (slip, bool) {
	if q.took == nil && !q.takeAll() {
		return slip{}, false
	}
	return q.took.slips[q.took.at], true
}

// take queues a message in the intake.
func (b *box) take(msg any, f facts) error {
	m, q := b.m, &b.intake
	s, capacity := slip{msg: msg, deadline: f.deadline}, b.capacity
	if f.last {
		capacity = math.MaxInt
	}
	q.mu.Lock()
	if q.shut {
		q.mu.Unlock()
		return b.takeShut(s, capacity)
	}
	first, ok := q.push(s, capacity, m.clock)
	q.mu.Unlock()
	return b.taken(first, ok)
}

// taken has the turn look at the intake, to which a message was added, or says why not.
func (b *box) taken(first, ok bool) error {
	switch {
	case !ok:
		b.m.refused.Add(1)
		return ErrFull
	case first || b.inline: // else who came first is about to announce it, if that is no news
		b.m.announce(ordinaryWaits)
	}
	return nil
}

// takeShut is take while somebody may have to be refused, or while nobody can be.
func (b *box) takeShut(s slip, capacity int) (err error) {
	m, q := b.m, &b.intake
	if s.passes, err = m.bar(s.msg, true, Ordinary); err != nil {
		return err
	}
	if s.passes != 0 || !m.refusable(s.msg, true) {
		capacity = math.MaxInt
	}
	q.mu.Lock()
	first, ok := q.push(s, capacity, m.clock)
	q.mu.Unlock()
	err = b.taken(first, ok)
	if err == nil && s.passes == 0 && m.word.Load()&(gated|closed) != 0 {
		m.PostSystemMessage(purge{})
	}
	return err
}

// reshut tells posters whether they must ask first. It is called by who has changed the
// word that says so.
func (b *box) reshut() {
	b.intake.mu.Lock()
	b.intake.shut = b.m.word.Load()&(barred|unopened) != 0
	b.intake.mu.Unlock()
}

// serveTaken is serveUser for the intake.
func (m *Combining) serveTaken() {
	s, ok := m.user.intake.pop()
	if !ok {
		m.word.And(^ordinaryWaits)
		if s, ok = m.user.intake.pop(); !ok { // who found something untaken announced nothing
			return
		}
		m.word.Or(ordinaryWaits)
	}
	m.tally.fetched()
	m.serveMessage(s.msg, s.passes, s.deadline)
}

// serveRun serves messages that were taken, as long as there is nothing else to think of, and
// reports whether there were any. It has one deferred function for all of them.
func (m *Combining) serveRun() (served bool) {
	var msg any
	q, in := &m.user.intake, false
	defer func() {
		if in {
			reason := recover()
			m.refuse(msg, ErrPanicked)
			m.crashed(reason, msg)
		}
	}()
	for m.word.Load() == running|ordinaryWaits && q.took != nil && q.took.slips[q.took.at].deadline == 0 {
		s, _ := q.pop()
		m.tally.fetched()
		msg, in, served = s.msg, true, true
		m.begin()
		m.invoker.InvokeUserMessage(msg)
		m.end()
		in = false
	}
	return served
}

// serveMessage runs the turn of an Ordinary message, or refuses it.
func (m *Combining) serveMessage(msg any, by uint32, deadline shelf.Instant) {
	passes, reason := m.mayServe(msg, true, by, Ordinary)
	if deadline != 0 && !passes && reason == nil && deadline <= m.instant() {
		reason = ErrExpired
	}
	if reason != nil {
		m.turns++
		m.refuse(msg, reason)
		return
	}
	failures := m.tally.failures
	m.begin()
	m.receive(msg)
	m.end()
	if passes && failures == m.tally.failures {
		m.passed()
	}
}

// purgeIntake refuses what p does not let through.
func (b *box) purgeIntake(p purgatory) {
	b.intake.filter(func(s slip) bool { return b.m.stays(s.msg, true, s.passes, p) }, func(msg any) {
		b.m.refused.Add(1)
		b.m.refuse(msg, p.reason)
	})
}

func (b *box) intakeAge() time.Duration {
	if since, ok := b.intake.oldest(); ok {
		return time.Duration(b.m.clock() - since)
	}
	return 0
}
