package actors_test

import (
	"errors"
	"fmt"
	"reflect"
	"slices"
	"testing"
	"time"

	"github.com/bulwark-go/bulwark/actors"
	"github.com/bulwark-go/bulwark/patterns"
)

// desk grants so many permits at once, and one every so often, in any order, and answers
// questions. A permit that is spent, released or refunded is known as such.
type desk struct {
	rules
	cfg    deskConfig
	shard  actors.Shard
	spends bool
	out    map[uint64]deskHold
	used   map[string]int
	next   map[string]patterns.Instant // when the next one may be granted
	again  patterns.Instant            // of the request that was last told to wait
	freed  string
	behind patterns.Queue

	then      func(m *desk) // what the next Acquire does besides, which is dirty then
	broken    bool          // Check fails
	refuse    bool          // everybody
	granted   []string      // keys, in order
	waited    []time.Duration
	joins     []deskJoin
	elapsed   []time.Duration // of each Report
	repairs   int
	forgetful bool // keeps none of the above
}

type deskHold struct {
	key    string
	weight int
}

// deskJoin is what Join was told.
type deskJoin struct {
	patterns.Request
	patterns.Queue
}

type deskConfig struct {
	Limit    int            // permits out at once: of a key in Keyed order, or of all
	Order    patterns.Order //
	Waiting  int            // in a queue
	MaxWait  time.Duration  // 0: for as long as they like
	Every    time.Duration  // between two grants: of a key in Keyed order, or of all
	Spends   bool
	Measured bool
	FreesAll bool // what Freed says
}

type deskSnapshot struct {
	Used    map[string]int
	Granted []string
	Waited  []time.Duration
	Joins   []deskJoin
	Elapsed []time.Duration
	Epoch   uint64
	Repairs int
	Shards  int
	patterns.Counts
}

// Questions.
type (
	deskPeek struct{ Key string }
	deskTake struct { // permits, to be spent
		Key string
		N   int
	}
	deskClear struct { // lets the next one pass at once
		Key   string
		Dirty bool
	}
	deskBad    struct{}
	deskDo     func(*desk)
	deskAnswer struct {
		Shard  int
		Used   int
		Taken  int
		Behind patterns.Queue
	}
)

func (q deskPeek) ShardKey() string  { return q.Key }
func (q deskTake) ShardKey() string  { return q.Key }
func (q deskClear) ShardKey() string { return q.Key }

var (
	errDeskFull  = fmt.Errorf("%w: the desk's queue is full", patterns.ErrRejected)
	errDeskLate  = fmt.Errorf("%w: the desk is too slow", patterns.ErrRejected)
	errDeskNever = fmt.Errorf("%w: more than the desk has", patterns.ErrRejected)
	errDeskBad   = errors.New("a bad question")
)

func newDesk(c deskConfig) *desk {
	return &desk{
		rules: rules{epoch: 1}, cfg: c, spends: c.Spends, again: patterns.Never,
		out: map[uint64]deskHold{}, used: map[string]int{}, next: map[string]patterns.Instant{},
	}
}

func (m *desk) key(key string) string {
	if m.cfg.Order == patterns.Keyed {
		return key
	}
	return ""
}

func (*desk) Timeless() bool   { return false }
func (m *desk) Measured() bool { return m.cfg.Measured }

func (m *desk) Wake() patterns.Instant {
	m.trip("Wake")
	return patterns.Never
}

func (m *desk) Acquire(now patterns.Instant, id uint64, r *patterns.Request) patterns.Decision {
	m.trip("Acquire")
	m.trip("Acquire of " + r.Key)
	d := patterns.Decision{Verdict: patterns.Wait, Epoch: m.epoch}
	if f := m.then; f != nil {
		m.then, d.Dirty = nil, true
		f(m)
	}
	key, w := m.key(r.Key), max(1, r.Weight)
	switch {
	case w > m.cfg.Limit, m.refuse:
		d.Verdict, d.Err = patterns.Refuse, errDeskNever
		return d
	case m.used[key] > m.cfg.Limit-w:
		m.again = patterns.Never
		return d
	case now < m.next[key]:
		m.again = m.next[key]
		return d
	}
	m.next[key] = max(now, m.next[key]).Add(time.Duration(w) * m.cfg.Every)
	if !r.Spend {
		m.used[key] += w
		m.out[id] = deskHold{r.Key, w}
	}
	if !m.forgetful {
		m.granted = append(m.granted, r.Key)
	}
	if r.Asked != 0 && !m.forgetful {
		m.waited = append(m.waited, now.Sub(r.Asked))
	}
	d.Verdict = patterns.Grant
	return d
}

func (m *desk) Report(_ patterns.Instant, p patterns.PermitID, _ patterns.Outcome, elapsed time.Duration) (counted, dirty bool) {
	m.trip("Report")
	if !m.forgetful {
		m.elapsed = append(m.elapsed, elapsed)
	}
	m.free(p.ID)
	return p.Epoch == m.epoch, false
}

func (m *desk) Release(_ patterns.Instant, p patterns.PermitID) bool {
	m.trip("Release")
	h := m.free(p.ID)
	key := m.key(h.key)
	m.next[key] = m.next[key].Add(-time.Duration(h.weight) * m.cfg.Every)
	return false
}

func (m *desk) free(id uint64) deskHold {
	h, ok := m.out[id]
	if !ok {
		panic(fmt.Sprintf("permit %x is not out", id))
	}
	delete(m.out, id)
	m.freed = m.key(h.key)
	if m.used[m.freed] -= h.weight; m.used[m.freed] == 0 {
		delete(m.used, m.freed)
	}
	return h
}

func (m *desk) Join(now patterns.Instant, r *patterns.Request, q patterns.Queue) (until patterns.Instant, dirty bool, err error) {
	m.trip("Join")
	if !m.forgetful {
		m.joins = append(m.joins, deskJoin{*r, q})
	}
	turn := m.next[m.key(r.Key)].Add(time.Duration(q.Ahead) * m.cfg.Every)
	switch {
	case r.NoWait, q.Waiting >= m.cfg.Waiting:
		return 0, false, errDeskFull
	case r.Deadline != 0 && m.cfg.Every > 0 && turn > r.Deadline:
		return 0, false, errDeskLate
	case m.cfg.MaxWait > 0:
		return now.Add(m.cfg.MaxWait), false, nil
	}
	return patterns.Never, false, nil
}

func (m *desk) Expired(patterns.Instant, *patterns.Request) (dirty bool, err error) {
	m.trip("Expired")
	return false, errDeskLate
}

func (m *desk) Order() patterns.Order {
	m.trip("Order")
	return m.cfg.Order
}

func (m *desk) Again() patterns.Instant {
	m.trip("Again")
	return m.again
}

func (m *desk) Freed() (key string, all bool) {
	m.trip("Freed")
	return m.freed, m.cfg.FreesAll
}

func (m *desk) Spends() bool { return m.spends }

func (m *desk) Behind(q patterns.Queue) { m.behind = q }

func (m *desk) Consult(now patterns.Instant, question any) (c patterns.Consultation) {
	m.trip("Consult")
	a := deskAnswer{Shard: m.shard.Index, Behind: m.behind}
	m.behind = patterns.Queue{}
	switch q := question.(type) {
	case deskPeek:
		a.Used = m.used[m.key(q.Key)]
	case deskTake:
		for a.Behind.Ahead == 0 && a.Taken < q.N && m.next[m.key(q.Key)] <= now {
			m.next[m.key(q.Key)] = now.Add(m.cfg.Every)
			a.Taken++
		}
		c.Granted, c.Rejected = a.Taken, q.N-a.Taken
	case deskClear:
		delete(m.next, m.key(q.Key))
		m.freed = m.key(q.Key)
		c.Dirty, c.Freed = q.Dirty, true
	case deskDo:
		q(m)
	case deskBad:
		return patterns.Consultation{Err: errDeskBad}
	default:
		return c
	}
	c.Answer = a
	return c
}

func (m *desk) Operate(_ patterns.Instant, op patterns.Operation) error {
	m.trip("Operate")
	if op.Kind != patterns.Reset {
		return actors.ErrUnsupported
	}
	clear(m.next)
	return nil
}

func (m *desk) Reconfigure(_ patterns.Instant, c deskConfig) {
	m.trip("Reconfigure")
	m.cfg = c
	clear(m.used)
	for _, h := range m.out {
		m.used[m.key(h.key)] += h.weight
	}
}

// turn changes the order.
func (m *desk) turn(to patterns.Order) {
	c := m.cfg
	c.Order = to
	m.Reconfigure(0, c)
}

func (m *desk) Check() error {
	sum := 0
	for _, h := range m.out {
		sum += h.weight
	}
	for _, n := range m.used {
		sum -= n
	}
	if sum != 0 || m.broken {
		return errors.New("the desk is in disorder")
	}
	return nil
}

func (m *desk) Repair(now patterns.Instant) {
	m.broken = false
	m.repairs++
	m.epoch++
	m.Reconfigure(now, m.cfg)
}

func (m *desk) Snapshot(_ patterns.Instant, counts patterns.Counts) deskSnapshot {
	m.trip("Snapshot")
	m.pause()
	s := deskSnapshot{
		Used: map[string]int{}, Granted: slices.Clone(m.granted), Waited: slices.Clone(m.waited),
		Joins: slices.Clone(m.joins), Elapsed: slices.Clone(m.elapsed),
		Epoch: m.epoch, Repairs: m.repairs, Shards: 1, Counts: counts,
	}
	for key, n := range m.used {
		s.Used[key] = n
	}
	return s
}

// mergeDesks sums what shards say.
func mergeDesks(all []deskSnapshot) (sum deskSnapshot) {
	sum.Used = map[string]int{}
	for _, s := range all {
		for key, n := range s.Used {
			sum.Used[key] += n
		}
		sum.Granted = append(sum.Granted, s.Granted...)
		sum.Shards += s.Shards
		to, from := reflect.ValueOf(&sum.Counts).Elem(), reflect.ValueOf(s.Counts)
		for i := range from.NumField() {
			to.Field(i).SetUint(to.Field(i).Uint() + from.Field(i).Uint())
		}
	}
	return sum
}

// deskGuard is a caller's handle on a desk of one shard.
type deskGuard struct {
	*actors.Typed[deskConfig, deskSnapshot]
	machine *desk // to be looked at when nothing runs
}

// deskGuards is a caller's handle on a desk of several.
type deskGuards struct {
	*actors.Sharded[deskConfig, deskSnapshot]
	machines []*desk
}

func deskSpec(c deskConfig, made *[]*desk) actors.Spec[deskConfig, deskSnapshot] {
	return actors.Spec[deskConfig, deskSnapshot]{
		Pattern: "desk", Config: c, Merge: mergeDesks,
		Validate: func(c deskConfig) error {
			if c.Limit < 1 {
				return errLimit
			}
			return nil
		},
		New: func(o actors.Origin) actors.Machine[deskConfig, deskSnapshot] {
			m := newDesk(c)
			m.shard = o.Shard
			*made = append(*made, m)
			return m
		},
	}
}

func spawnDesk(t testing.TB, guards *actors.Registry, c deskConfig, opts ...actors.Option) *deskGuard {
	t.Helper()
	var made []*desk
	g, err := actors.Spawn(guards, "desk", deskSpec(c, &made), func(typed *actors.Typed[deskConfig, deskSnapshot]) *deskGuard {
		return &deskGuard{typed, made[0]}
	}, opts...)
	if err != nil {
		t.Fatal(err)
	}
	return g
}

func spawnDesks(t testing.TB, guards *actors.Registry, n int, c deskConfig, opts ...actors.Option) *deskGuards {
	t.Helper()
	var made []*desk
	g, err := actors.SpawnSharded(guards, "desk", n, deskSpec(c, &made), func(s *actors.Sharded[deskConfig, deskSnapshot]) *deskGuards {
		return &deskGuards{s, made}
	}, opts...)
	if err != nil {
		t.Fatal(err)
	}
	return g
}

// snapshot returns the snapshot, and fails the test if the counts do not balance.
func (g *deskGuard) snapshot(t testing.TB) deskSnapshot {
	t.Helper()
	return balanced(t)(g.Snapshot(t.Context()))
}

func (g *deskGuards) snapshot(t testing.TB) deskSnapshot {
	t.Helper()
	return balanced(t)(g.Snapshot(t.Context()))
}

func balanced(t testing.TB) func(s deskSnapshot, ok bool) deskSnapshot {
	return func(s deskSnapshot, ok bool) deskSnapshot {
		t.Helper()
		if !ok {
			t.Fatal("no snapshot")
		}
		if !s.Balanced() {
			t.Errorf("counts do not balance: %+v", s.Counts)
		}
		return s
	}
}

// occupied runs f while the guard's turn is taken, so that f has to queue.
//
//bulwark:bubble
func (g *deskGuard) occupied(t testing.TB, f func()) {
	t.Helper()
	occupied(g.machine.occupy(func() { g.Snapshot(t.Context()) }), f)
}

func (g *deskGuard) reorder(t testing.TB, order patterns.Order) {
	t.Helper()
	c := g.machine.cfg
	c.Order = order
	if err := g.Reconfigure(t.Context(), c); err != nil {
		t.Fatal(err)
	}
}
