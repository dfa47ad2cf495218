package loadshedder

import (
	"math/bits"
	"time"

	"github.com/bulwark-go/bulwark/patterns"
	"github.com/bulwark-go/bulwark/patterns/internal/fingerprint"
	"github.com/bulwark-go/bulwark/patterns/internal/keyed"
)

// users know how much each key was granted in this second and the one before. Beyond a
// cap keys share one record.
type users struct {
	table  *keyed.Table // of records: see pack
	rest   [recordWords]uint64
	begun  patterns.Instant
	period uint32 // number of this second, from 2 on: 0 is long ago

	total, totalBefore   uint64 // granted
	active, activeBefore int    // keys that were granted anything
}

const (
	userPeriod  = time.Second
	recordWords = 2
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

// entitled reports whether key got no more than an equal share of late.
func (u *users) entitled(now patterns.Instant, seed fingerprint.Seed, key string) bool {
	u.roll(now)
	record := u.find(seed, key)
	if record == nil { // a new one
		return true
	}
	this, before := u.granted(record)
	keys := uint64(max(u.active, u.activeBefore, 1))
	return (this+before)*keys <= u.total+u.totalBefore
}

// charge counts a grant.
func (u *users) charge(now patterns.Instant, seed fingerprint.Seed, key string, w int) {
	u.roll(now)
	record := u.find(seed, key)
	if record == nil {
		record = u.add(seed, key)
	}
	this, before := u.granted(record)
	if this == 0 {
		u.active++
	}
	record[0], record[1] = uint64(u.period), min(this+uint64(w), 1<<32-1)<<32|before
	u.total += uint64(w)
}

// granted unpacks a record: the number of its second, and what was granted in it and before.
func (u *users) granted(record []uint64) (this, before uint64) {
	this, before = record[1]>>32, record[1]&(1<<32-1)
	switch u.period - uint32(record[0]) {
	case 0:
	case 1:
		this, before = 0, this
	default:
		this, before = 0, 0
	}
	return this, before
}

// find returns the record of key, the one that is shared if there is no room for another,
// or nil.
func (u *users) find(seed fingerprint.Seed, key string) []uint64 {
	if record := u.table.Find(identify(seed, key)); record != nil {
		return record
	}
	if u.table.Full() {
		u.table.Sweep(sweepUsers, func(record []uint64) bool { return u.period-uint32(record[0]) > 1 })
		if u.table.Full() {
			return u.rest[:]
		}
	}
	return nil
}

func (u *users) add(seed fingerprint.Seed, key string) []uint64 {
	if record := u.table.Insert(identify(seed, key)); record != nil {
		return record
	}
	return u.rest[:]
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
