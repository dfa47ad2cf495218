package redislimiter

import (
	"slices"
	"time"

	"github.com/bulwark-go/bulwark/patterns"
	"github.com/bulwark-go/bulwark/patterns/ratelimiter/redis/internal/store"
)

// stock is what this instance holds of a key's permits: they were taken from Redis, so that
// never more pass than the limit and what is held here.
type stock struct {
	key    string
	at     int   // its place in stocks
	tokens int64 // to be spent
	lent   int64 // in cells of the shell
	most   int64 // that may be held
	since  int64 // of the oldest that is held, as of Redis
	until  patterns.Instant
	asking bool // more are on the way, or to be sent for
	listed bool // in stocks.asking

	used, before int64 // in this sweep, and in the one before
}

// maxStocks is how many keys may have a lease. Of others each request is asked for.
const maxStocks = 10_000

func (s *stock) takesBack(n int64) bool { return s.until != 0 && s.tokens+s.lent+n <= s.most }

// spend uses n permits of a lease, if there are so many.
func (m *Machine) spend(id uint64, r *patterns.Request, n int64) bool {
	if m.cfg.LeaseFor == 0 {
		return false
	}
	s := m.stocks.of(r.Key)
	if s == nil || s.tokens < n || m.hi >= s.until || m.overrides[r.Key] != nil {
		return false
	}
	s.tokens -= n
	s.used += n
	if !r.Spend {
		m.charges[id] = charge{key: m.kept(r.Key), n: n, since: s.since}
	}
	m.refill(s)
	return true
}

// refill sends for more if what is left will not last.
func (m *Machine) refill(s *stock) {
	if !s.asking && s.tokens*4 < s.wanted() && m.mayCall() {
		m.dirty = true
		m.stocks.ask(s)
	}
}

// wanted is how much the demand of a sweep is, and a bit more.
func (s *stock) wanted() int64 { return min(s.most, max(s.used, s.before)*5/4) }

// demand notes that Redis was asked for n of a key, and takes a lease when that is often.
func (m *Machine) demand(key string, n int64) {
	if m.cfg.LeaseFor == 0 || m.overrides[key] != nil {
		return
	}
	s := m.stocks.of(key)
	if s == nil {
		if m.stocks.len() >= maxStocks {
			return
		}
		s = m.stocks.add(key, m.mostLeased())
		if m.sweepAt == patterns.Never {
			m.sweepAt, m.dirty = m.hi.Add(m.cfg.LeaseFor/2), true
		}
	}
	s.used += n
	m.refill(s)
}

// mostLeased is how many permits of a key may be held.
func (m *Machine) mostLeased() int64 {
	share := m.law.most / int64(2*m.cfg.Instances)
	if most := int64(m.cfg.MaxLease); most > 0 {
		return min(most, share)
	}
	return share
}

// wantsLease reports whether more permits are to be sent for.
func (m *Machine) wantsLease() bool {
	return m.cfg.LeaseFor != 0 && m.stocks.asking.len() > 0
}

// sweep gives leases back that were not used for as long as two sweeps, or are over.
func (m *Machine) sweep() {
	if m.hi < m.sweepAt {
		return
	}
	for _, s := range slices.Backward(m.stocks.all) { // dissolve moves one that was looked at
		idle := s.used == 0 && s.before == 0
		s.before, s.used = s.used, 0
		switch {
		case idle && s.lent == 0 && !s.asking:
			m.dissolve(s)
		case m.hi >= s.until && s.tokens > 0:
			m.unlease(s)
		}
	}
	m.sweepAt = patterns.Never
	if m.stocks.len() > 0 {
		m.sweepAt = m.hi.Add(m.cfg.LeaseFor / 2)
	}
	m.dirty = true
}

// dissolve ends the lease of a key.
func (m *Machine) dissolve(s *stock) {
	m.stocks.remove(s)
	m.unlease(s)
}

// dissolveAll ends all leases.
func (m *Machine) dissolveAll() {
	m.stocks.askNobody()
	for m.stocks.len() > 0 {
		m.dissolve(m.stocks.all[m.stocks.len()-1])
	}
}

// unlease has what a lease holds given back.
func (m *Machine) unlease(s *stock) {
	n := s.tokens
	s.tokens, s.until = 0, 0
	if n > 0 {
		m.putBack(charge{key: s.key, n: n, since: s.since})
	}
}

// addExtras adds to a batch of n requests what nobody waits for, as far as it has room: ahead
// of them what passed before they came, and what they may have; behind them leases, which
// are to take nothing from them.
func (m *Machine) addExtras(b *batch, n int) {
	b.extras, b.ahead = b.extras[:0], 0
	room := m.cfg.MaxBatch
	add := func(kind extraKind, of store.Kind, c charge) {
		b.extras = append(b.extras, extra{kind, c.key, c.n})
		b.checks = append(b.checks, store.Check{Kind: of, Key: c.key, Law: m.lawOf(c.key).law, Weight: c.n, Since: c.since, Booking: c.booking})
		room--
	}
	for room > 0 && m.outage.owed.len() > 0 {
		key, n := m.outage.owed.pop()
		add(owed, store.TakeUpTo, charge{key: key, n: n})
	}
	if m.outage.down {
		if len(b.checks) == 0 {
			add(probe, store.Peek, charge{n: 1})
		}
		return
	}
	back := min(room, len(m.back))
	for _, c := range m.back[:back] {
		kind := store.Return
		if c.booking != nil {
			kind = store.Cancel
		}
		add(returned, kind, c)
	}
	m.back = append(m.back[:0], m.back[back:]...)
	if b.ahead = len(b.extras); n > 0 && b.ahead > 0 {
		b.moved = append(b.moved[:0], b.checks[:n]...)
		copy(b.checks, b.checks[n:])
		copy(b.checks[b.ahead:], b.moved)
	}
	for room > 0 {
		s := m.stocks.next()
		if s == nil {
			return
		}
		if n := s.wanted() - s.tokens - s.lent; n > 0 {
			add(leased, store.TakeUpTo, charge{key: s.key, n: n})
		} else {
			s.asking = false
		}
	}
}

// settleExtras takes the permits of leases that a call brought.
func (m *Machine) settleExtras(b *batch) {
	for i, x := range b.extras {
		at := i
		if i >= b.ahead {
			at += b.requests()
		}
		a := &b.answers[at]
		switch x.kind {
		case owed:
			if a.Err == nil && x.weight > a.Taken {
				m.sums.NotCharged += uint64(x.weight - a.Taken)
			}
		case returned:
			if a.Err != nil {
				m.sums.NotReturned += uint64(x.weight)
			}
		case leased:
			m.leaseArrived(b, x.key, a)
		}
	}
}

func (m *Machine) leaseArrived(b *batch, key string, a *store.Answer) {
	s := m.stocks.of(key)
	switch {
	case a.Err != nil || a.Taken == 0:
		if s != nil {
			s.asking = false
		}
	case s == nil || m.overrides[key] != nil:
		m.putBack(charge{key: key, n: a.Taken, since: a.Since})
	default:
		if s.tokens == 0 {
			s.since = a.Since
		}
		s.asking = false
		s.tokens += a.Taken
		s.until = b.sent.Add(m.cfg.LeaseFor)
		m.sums.Leased += uint64(a.Taken)
		m.dirty = true // cells may lease
	}
}

// missExtras follows a call that failed: what it may have changed is left as the worst case.
func (m *Machine) missExtras(b *batch) {
	for _, x := range b.extras {
		switch x.kind {
		case owed:
			m.owe(x.key, x.weight)
		case returned:
			m.sums.NotReturned += uint64(x.weight)
		case leased:
			if s := m.stocks.of(x.key); s != nil {
				s.asking = false
			}
		}
	}
}

// held is how many permits are held here.
func (m *Machine) held() (n int64) {
	for _, s := range m.stocks.all {
		n += s.tokens + s.lent
	}
	return n
}

// Lease lends a cell permits that are held here of requests without a key.
func (m *Machine) Lease(now patterns.Instant, want int) int {
	m.settle(now)
	s := m.stocks.of("")
	if s == nil || m.hi >= s.until {
		return 0
	}
	n := min(int64(want), (s.tokens+1)/2)
	if n < 1 {
		return 0
	}
	s.tokens -= n
	s.lent += n
	s.used += n
	m.refill(s)
	return int(n)
}

// SettleLease takes back what a cell did not spend.
func (m *Machine) SettleLease(now patterns.Instant, epoch uint64, t patterns.Tally) (counted, dirty bool) {
	m.settle(now)
	n := int64(t.Unused)
	s := m.stocks.of("")
	switch {
	case s != nil:
		s.lent = max(0, s.lent-n-int64(t.Success))
		s.tokens += n
		s.used = max(0, s.used-n)
	case n > 0:
		m.putBack(charge{n: n})
	}
	return epoch == m.epoch, m.flush()
}

// SlowAfter is 0: how long a call took is nothing to a limiter.
func (m *Machine) SlowAfter() time.Duration { return 0 }
