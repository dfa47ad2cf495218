package adaptive

import (
	"time"

	"github.com/bulwark-go/bulwark/patterns"
)

// period is how long a tenant that no longer calls still counts for the equal share.
const period = patterns.Instant(time.Second)

// tenants know who holds how much of the limit. Keys are kept as hashes, so that none
// is too long; beyond a cap they share the tenant 0.
type tenants struct {
	index  map[uint64]int32
	all    []tenant
	free   []int32
	seed   uint64
	most   int
	rest   float64 // of the limit, for tenants without a guarantee
	begun  patterns.Instant
	number uint32 // of the period
	active int    // tenants without a guarantee seen in this period
	before int    // and in the one before
}

type tenant struct {
	hash     uint64
	inFlight int32
	seen     uint32  // number of the period it last called in
	share    float64 // guaranteed; 0 if none
}

func newTenants(c *Config, seed uint64) tenants {
	return tenants{
		index: make(map[uint64]int32), all: make([]tenant, 1, 16), seed: seed,
		most: c.MaxTenants, rest: c.Partitions.rest(),
	}
}

// find returns the tenant with that key, new or not.
func (t *tenants) find(now patterns.Instant, key string, p *Partitions) int32 {
	t.roll(now)
	h := hash(t.seed, key)
	i, ok := t.index[h]
	if !ok {
		i = t.add(h, key, p)
	}
	if e := &t.all[i]; e.seen != t.number {
		e.seen = t.number
		if e.share == 0 {
			t.active++
		}
	}
	return i
}

func (t *tenants) add(h uint64, key string, p *Partitions) int32 {
	if len(t.index) >= t.most {
		return 0
	}
	share, _ := p.of(key)
	e := tenant{hash: h, share: share}
	var i int32
	if n := len(t.free); n > 0 {
		i = t.free[n-1]
		t.free = t.free[:n-1]
		t.all[i] = e
	} else {
		i = int32(len(t.all))
		t.all = append(t.all, e)
	}
	t.index[h] = i
	return i
}

// roll begins a new period, and forgets those who did not call in two.
func (t *tenants) roll(now patterns.Instant) {
	if t.number != 0 && now-t.begun < period {
		return
	}
	t.begun = now
	t.number++
	t.before, t.active = t.active, 0
	for i := 1; i < len(t.all); i++ {
		e := &t.all[i]
		if at, ok := t.index[e.hash]; ok && at == int32(i) && e.inFlight <= 0 && e.seen+2 < t.number {
			delete(t.index, e.hash)
			t.free = append(t.free, int32(i))
		}
	}
}

// entitled reports whether the tenant holds less than its share of the limit.
func (t *tenants) entitled(i int32, limit float64) bool {
	e := &t.all[i]
	share := e.share
	if share == 0 {
		share = t.rest / float64(max(t.active, t.before, 1))
	}
	return float64(e.inFlight) < max(1, share*limit)
}

// hash is FNV-1a of the key, or of the ends and the length of a long one.
func hash(seed uint64, key string) uint64 {
	const prime, end = 1099511628211, 128
	h := 14695981039346656037 ^ seed
	add := func(s string) {
		for i := range len(s) {
			h = (h ^ uint64(s[i])) * prime
		}
	}
	if len(key) <= 2*end {
		add(key)
	} else {
		add(key[:end])
		add(key[len(key)-end:])
	}
	h = (h ^ uint64(len(key))) * prime
	return h ^ h>>29
}
