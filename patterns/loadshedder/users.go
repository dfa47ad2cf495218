package loadshedder

import (
	"math/bits"
	"time"

	"github.com/bulwark-go/bulwark/patterns"
	"github.com/bulwark-go/bulwark/patterns/internal/fingerprint"
	"github.com/bulwark-go/bulwark/patterns/internal/keyed"
)

// users know who asked in this second and the one before, and how much each was granted.
// Beyond a cap keys share one record.
type users struct {
	table  *keyed.Table // of records: see record
	rest   [recordWords]uint64
	begun  patterns.Instant
	period uint32 // number of this second, from 2 on: 0 is long ago

	key string          // looked for last: a grant looks for the one that was decided on
	id  fingerprint.Key // its fingerprint

	total, totalBefore   uint64 // granted
	active, activeBefore int    // keys that asked
}

const (
	userPeriod  = time.Second
	recordWords = 2
	half        = 32
	// sweepUsers is how many records are looked at when there is no room for another.
	sweepUsers = 16
	// wholeKey is the length up to which all of a key is looked at; of a longer one the ends
	// are, and the length.
	wholeKey = 1024
)

func newUsers(most int) users { return users{table: keyed.New(recordWords, most, nil), period: 2} }

// roll begins a new second.
func (u *users) roll(now patterns.Instant) {
	since := now.Sub(u.begun)
	if since < userPeriod {
		return
	}
	u.totalBefore, u.activeBefore = u.total, u.active
	if since >= 2*userPeriod {
		u.totalBefore, u.activeBefore = 0, 0
		u.period++ // what was this second is long ago
	}
	u.total, u.active = 0, 0
	u.begun = now
	u.period++
}

// entitled reports whether key, who asks, got no more than an equal share of late.
func (u *users) entitled(now patterns.Instant, seed fingerprint.Seed, key string) bool {
	record := u.record(now, seed, key)
	got := record[1]>>half + record[1]&(1<<half-1)
	return got*uint64(max(u.active, u.activeBefore)) <= u.total+u.totalBefore
}

// charge counts a grant.
func (u *users) charge(now patterns.Instant, seed fingerprint.Seed, key string, w int) {
	record := u.record(now, seed, key)
	record[1] = min(record[1]>>half+uint64(w), 1<<half-1)<<half | record[1]&(1<<half-1)
	u.total += uint64(w)
}

// record returns the record of key, as of now: the number of this second, and what was
// granted in it and in the one before.
func (u *users) record(now patterns.Instant, seed fingerprint.Seed, key string) []uint64 {
	u.roll(now)
	record := u.find(u.identify(seed, key))
	if age := u.period - uint32(record[0]); age > 0 {
		if record[1] >>= half; age > 1 {
			record[1] = 0
		}
		record[0] = uint64(u.period)
		u.active++
	}
	return record
}

// find returns the record of k, be it a new one, or the one that is shared if there is no
// room for another.
func (u *users) find(k fingerprint.Key) []uint64 {
	if record := u.table.Find(k); record != nil {
		return record
	}
	if u.table.Full() {
		u.table.Sweep(sweepUsers, func(record []uint64) bool { return u.period-uint32(record[0]) > 1 })
	}
	if record := u.table.Insert(k); record != nil {
		return record
	}
	return u.rest[:]
}

func (u *users) identify(seed fingerprint.Seed, key string) fingerprint.Key {
	if key != u.key || u.id == (fingerprint.Key{}) {
		u.key, u.id = key, identify(seed, key)
	}
	return u.id
}

func identify(seed fingerprint.Seed, key string) fingerprint.Key {
	if len(key) <= wholeKey {
		return fingerprint.Of(seed, key)
	}
	k, end := fingerprint.Of(seed, key[:wholeKey/2]), fingerprint.Of(seed, key[len(key)-wholeKey/2:])
	k.High ^= bits.RotateLeft64(end.High, 1) + uint64(len(key))
	k.Low ^= bits.RotateLeft64(end.Low, 1)
	if k == (fingerprint.Key{}) {
		k.Low = 1
	}
	return k
}
