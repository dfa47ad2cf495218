package ratelimiter

import (
	"math"
	"time"

	"github.com/bulwark-go/bulwark/patterns"
	"github.com/bulwark-go/bulwark/patterns/internal/fingerprint"
	"github.com/bulwark-go/bulwark/patterns/internal/keyed"
	"github.com/bulwark-go/bulwark/patterns/internal/rate"
)

// keys are the budgets of requests with a key. A key is known by its
// fingerprint. One that has used nothing that still counts needs no record, so that a
// record may be dropped as soon as that is so and never before: to drop one that counts
// would give its key a fresh budget. When there is no room, further keys share
// overflowShares budgets with the same rates.
type keys struct {
	seed  fingerprint.Seed
	law   *law
	table *keyed.Table

	changes   []change // those that some page has yet to follow, the oldest first
	version   uint32   // of law; changes[i] made version − len(changes) + i + 1
	overrides map[fingerprint.Key]*override

	shares  []uint64 // overflowShares budgets
	scratch []uint64 // of a key that is not known yet

	recent      [maxRecent]byte // the last key
	recentLen   int             // -1: none
	recentPrint fingerprint.Key
	known       bool // its record is where find said last
	sweepAt     patterns.Instant
}

// change is a Reconfigure.
type change struct {
	from, to *rate.Tiers
	at       patterns.Instant
}

// apply makes of a key's state src the state dst. A key that has used nothing that
// counts is as good as one that is not known, and starts anew.
func (c change) apply(src, dst []uint64) {
	if c.from.Fresh(src, int64(c.at)) {
		c.to.Start(dst, int64(c.at))
		return
	}
	c.from.Convert(src, c.to, dst, int64(c.at))
}

// override is a key with rates of its own.
type override struct {
	law   *law
	state []uint64
}

// budget is where a key stands.
type budget struct {
	law   *law
	state []uint64
	key   fingerprint.Key
	fresh bool // the state is not kept yet
	over  bool // the state is shared
}

const (
	overflowShares = 64
	maxOverrides   = 10_000
	maxRecent      = 64
	maxChanges     = 64

	// A new key pays for the sweep of a few slots, so that a table never grows because of
	// keys that are gone, and in quiet times a timer sees to it, a page at a time.
	sweepSlots     = 8
	sweepFullSlots = 32
	sweepCycle     = 10 * time.Second
	sweepSoon      = 10 * time.Millisecond
	sweepLate      = time.Second
)

// shareOf is how many keys one of several shards may have. The hash that deals keys out to
// them is uneven by a few square roots: five of them are more than ever happens.
func shareOf(maxKeys, shards int) int {
	if shards < 2 {
		return maxKeys
	}
	each := maxKeys/shards + 1
	return each + 5*int(math.Sqrt(float64(each)))
}

func newKeys(seed fingerprint.Seed, l *law, maxKeys int, now patterns.Instant) *keys {
	k := &keys{seed: seed, recentLen: -1, sweepAt: patterns.Never}
	k.overrides = make(map[fingerprint.Key]*override)
	k.adopt(l, maxKeys, now)
	return k
}

// adopt starts with empty budgets.
func (k *keys) adopt(l *law, maxKeys int, now patterns.Instant) {
	words := l.Words()
	k.known = false
	k.law, k.version, k.changes = l, 0, nil
	k.scratch = make([]uint64, words)
	k.shares = make([]uint64, overflowShares*words)
	for i := range overflowShares {
		l.Start(k.shares[i*words:(i+1)*words], int64(now))
	}
	k.table = keyed.New(words, maxKeys, k.follow)
}

// print returns the key's fingerprint. That of the last key is remembered, with a copy
// of it: the caller's may lie in a buffer that is used again.
func (k *keys) print(key string) fingerprint.Key {
	if k.again(key) {
		return k.recentPrint
	}
	p := fingerprint.Of(k.seed, key)
	if len(key) <= maxRecent {
		k.recentLen = copy(k.recent[:], key)
		k.recentPrint = p
	}
	return p
}

// again reports whether key is the one that print was last asked for.
func (k *keys) again(key string) bool {
	return len(key) == k.recentLen && string(k.recent[:len(key)]) == key
}

// find says where a key stands. That is valid until the next find or keep.
func (k *keys) find(now patterns.Instant, p fingerprint.Key, b *budget) {
	if len(k.overrides) > 0 {
		if o := k.overrides[p]; o != nil {
			b.law, b.state, b.key, b.fresh, b.over = o.law, o.state, p, false, false
			return
		}
	}
	b.law, b.key, b.fresh, b.over = k.law, p, false, false
	if b.state = k.table.Find(p); b.state != nil {
		return
	}
	share := k.share(p)
	if k.table.Full() {
		if k.sweep(now, sweepFullSlots); k.table.Full() {
			b.state, b.over = share, true
			return
		}
	}
	b.state, b.fresh = k.scratch, true
	if k.law.Fresh(share, int64(now)) {
		k.law.Start(k.scratch, int64(now))
		return
	}
	// The key may have had all of this, or lost it to a repair. It does not get it again.
	copy(k.scratch, share)
}

// share is the budget that a key without room shares.
func (k *keys) share(p fingerprint.Key) []uint64 {
	words := k.law.Words()
	i := int(p.Low%overflowShares) * words
	return k.shares[i : i+words : i+words]
}

// keep makes a record for a key that find called fresh, if there is room: find saw to
// that but for one case in 2^40, and then the key shares.
func (k *keys) keep(now patterns.Instant, b *budget) {
	k.sweep(now, sweepSlots)
	b.fresh = false
	if b.state = k.table.Insert(b.key); b.state == nil {
		b.state, b.over = k.share(b.key), true
		return
	}
	copy(b.state, k.scratch)
}

// sweep drops the records of some keys that say nothing any more.
func (k *keys) sweep(now patterns.Instant, slots int) {
	k.known = false
	k.table.Sweep(slots, func(s []uint64) bool { return k.law.Fresh(s, int64(now)) })
}

// tick sweeps a page if it is time to.
func (k *keys) tick(now patterns.Instant) {
	if now < k.sweepAt {
		return
	}
	k.known = false
	k.table.SweepPage(func(s []uint64) bool { return k.law.Fresh(s, int64(now)) })
	k.prune()
	k.sweepAt = patterns.Never
	if k.table.Len() > 0 || k.table.Pages() > 1 {
		k.sweepAt = now.Add(min(max(sweepCycle/time.Duration(k.table.Pages()), sweepSoon), sweepLate))
	}
}

// change makes to the rates of all keys, as of now. Records follow a page at a time when
// they are next looked at, as if they had at once; only if the new rates need another
// number of words all of them are rewritten here.
func (k *keys) change(now patterns.Instant, to *law, maxKeys int) {
	from := k.law
	k.known = false
	if !from.SameShape(to.Tiers) {
		k.rebuild(now, to, maxKeys)
		return
	}
	k.law = to
	k.table.SetMax(maxKeys)
	k.version++
	c := change{from.Tiers, to.Tiers, now}
	k.changes = append(k.changes, c)
	k.table.SetVersion(k.version)
	for i := range overflowShares {
		s := k.shares[i*to.Words() : (i+1)*to.Words()]
		c.apply(s, s)
	}
	if k.prune(); len(k.changes) > maxChanges {
		k.followAll()
	}
}

// rebuild writes every record anew.
func (k *keys) rebuild(now patterns.Instant, to *law, maxKeys int) {
	k.followAll()
	c, table, shares := change{k.law.Tiers, to.Tiers, now}, k.table, k.shares
	k.adopt(to, max(maxKeys, table.Len()), now)
	table.All(func(p fingerprint.Key, s []uint64) {
		if dst := k.table.Insert(p); dst != nil {
			c.apply(s, dst)
		}
	})
	k.table.SetMax(maxKeys)
	for i := range overflowShares {
		c.apply(shares[i*c.from.Words():(i+1)*c.from.Words()], k.shares[i*to.Words():(i+1)*to.Words()])
	}
}

// followAll brings every key up to date.
func (k *keys) followAll() {
	k.table.All(func(fingerprint.Key, []uint64) {})
	k.changes = nil
}

// follow brings the state of a key through the changes since version.
func (k *keys) follow(version uint32, s []uint64) {
	for _, c := range k.changes[len(k.changes)-int(k.version-version):] {
		c.apply(s, s)
	}
}

// prune forgets the changes that all pages have followed.
func (k *keys) prune() {
	if len(k.changes) > 0 {
		k.changes = k.changes[len(k.changes)-int(k.version-k.table.Oldest()):]
	}
}

// setOverride gives a key rates of its own, and keeps what it used. It returns false
// if there are too many.
func (k *keys) setOverride(now patterns.Instant, p fingerprint.Key, l *law) bool {
	k.known = false
	if k.overrides[p] == nil && len(k.overrides) >= maxOverrides {
		return false
	}
	var b budget
	k.find(now, p, &b)
	o := &override{law: l, state: make([]uint64, l.Words())}
	change{b.law.Tiers, l.Tiers, now}.apply(b.state, o.state)
	k.table.Delete(p)
	k.overrides[p] = o
	return true
}

// dropOverride gives a key the rates of all again, and keeps what it used.
func (k *keys) dropOverride(now patterns.Instant, p fingerprint.Key) bool {
	o := k.overrides[p]
	if o == nil {
		return false
	}
	k.known = false
	delete(k.overrides, p)
	if o.law.Fresh(o.state, int64(now)) {
		return true
	}
	var b budget
	if k.find(now, p, &b); b.fresh {
		k.keep(now, &b)
		if !b.over {
			o.law.Convert(o.state, k.law.Tiers, b.state, int64(now))
		}
	}
	return true
}

// reset forgets what all keys used.
func (k *keys) reset(now patterns.Instant) {
	k.adopt(k.law, k.table.Max(), now)
	for _, o := range k.overrides {
		o.law.Start(o.state, int64(now))
	}
}

// repair starts anew with budgets that are all used up: so are the shared ones, and
// from them it goes over to every key that is not known.
func (k *keys) repair(now patterns.Instant) {
	k.adopt(k.law, k.table.Max(), now)
	words := k.law.Words()
	for i := range overflowShares {
		k.law.Drain(k.shares[i*words:(i+1)*words], int64(now))
	}
	for _, o := range k.overrides {
		o.law.Drain(o.state, int64(now))
	}
}
