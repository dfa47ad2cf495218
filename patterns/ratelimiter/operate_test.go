package ratelimiter

import (
	"errors"
	"testing"
	"time"

	"github.com/bulwark-go/bulwark/patterns"
)

func TestOnlyAForcedOpeningIsKnownInAdvance(t *testing.T) {
	m := newTestMachine(per(1, sec))
	m.Take(0, request("", 1))
	if _, _, ok := m.Refusal(); ok || m.Timeless() || m.Measured() || m.SlowAfter() != 0 || m.Epoch() != 1 {
		t.Error("a limiter that limits looks at the time, and at nothing else")
	}
	newScript(t, m).run("force-open:1s")
	err, until, ok := m.Refusal()
	if !ok || until != second(1) || !errors.Is(err, ErrLimited) || m.Timeless() || m.Wake() != second(1) {
		t.Errorf("%v until %v, %v", err, until, ok)
	}
	newScript(t, m).run("force-open")
	if _, until, ok := m.Refusal(); !ok || until != patterns.Never || !m.Timeless() || m.Wake() != patterns.Never {
		t.Errorf("until %v, %v", until, ok)
	}
	newScript(t, m).run("metrics-only")
	if _, _, ok := m.Refusal(); ok || m.Timeless() {
		t.Error("counting needs the time")
	}
}

func TestReconfigureKeepsWhatIsNotTheMachines(t *testing.T) {
	m := newTestMachine(leased(alone(per(1, sec))))
	m.Reconfigure(0, with(per(1, sec), func(c *Config) { c.MaxKeys, c.OnFailure = 3, patterns.FailClosed }))
	if m.cfg.Mode != patterns.Leased(64, 100*ms) || m.cfg.MaxKeys != NoKeys || m.cfg.OnFailure != patterns.FailOpen {
		t.Errorf("%+v", m.cfg)
	}
	for range m.Drain() {
		t.Error("nothing changed, and it is an event")
	}
	m = newTestMachine(with(per(1, sec), func(c *Config) { c.MaxKeys = 3 }))
	m.Take(0, request("k", 1))
	m.Reconfigure(0, alone(per(1, sec)))
	if m.cfg.MaxKeys != 3 || m.keys.table.Max() != 3 {
		t.Errorf("%+v", m.cfg)
	}
	m.Reconfigure(0, with(per(1, sec), func(c *Config) { c.MaxKeys, c.MaxWaiting = 5, 7 }))
	if m.keys.table.Max() != 5 || m.cfg.MaxWaiting != 7 {
		t.Errorf("room for %d keys, %d wait", m.keys.table.Max(), m.cfg.MaxWaiting)
	}
}

func TestPermitsOfAllKindsOfKeysGiveBack(t *testing.T) {
	m := newTestMachine(with(per(2, sec), func(c *Config) { c.MaxKeys = 1 }))
	if err := m.Override(0, "own rate", Rate{Count: 3, Per: sec}); err != nil {
		t.Fatal(err)
	}
	for i, key := range []string{"known", "shared", "own rate"} {
		before := m.Peek(0, request(key, 1)).Remaining
		d := m.Acquire(0, uint64(i), request(key, 2))
		if d.Verdict != patterns.Grant {
			t.Fatal(key, d)
		}
		m.Release(0, patterns.PermitID{Epoch: d.Epoch, ID: uint64(i)})
		if after := m.Peek(0, request(key, 1)).Remaining; after != before {
			t.Errorf("%s: %d left, was %d", key, after, before)
		}
		m.Take(0, request(key, 1)) // so that it stays known
	}
	d := m.Acquire(0, 9, request("known", 1))
	m.Tick(second(9))
	m.keys.sweep(second(9), 512)
	m.Release(second(9), patterns.PermitID{Epoch: d.Epoch, ID: 9})
	if m.keys.table.Len() != 0 || m.Check() != nil {
		t.Error("a key that was dropped came back")
	}
}

func TestAPermitWhosePlaceIsTakenIsForgotten(t *testing.T) {
	m := newTestMachine(per(1<<20, sec))
	for id := range uint64(maxGrants + 1) {
		m.Acquire(0, id, request("", 1))
	}
	used := func() int64 { return 1<<20 - m.Peek(0, request("", 1)).Remaining }
	if len(m.grants.places) != maxGrants || used() != maxGrants+1 {
		t.Fatalf("%d places, %d used", len(m.grants.places), used())
	}
	for id := range uint64(maxGrants + 1) {
		m.Release(0, patterns.PermitID{Epoch: 1, ID: id})
	}
	if used() != 1 {
		t.Errorf("%d used: one of two with the same place was to give nothing back", used())
	}
}

func TestResetForgetsWhatKeysWithTheirOwnRatesUsed(t *testing.T) {
	m := newTestMachine(with(per(2, sec), func(c *Config) { c.MaxKeys = 1 }))
	if err := m.Override(0, "k", Rate{Count: 3, Per: time.Hour}); err != nil {
		t.Fatal(err)
	}
	m.Take(0, request("k", 3))
	newScript(t, m).run("reset")
	if a := m.Peek(0, request("k", 1)); a.Remaining != 3 {
		t.Errorf("%+v", a)
	}
}
