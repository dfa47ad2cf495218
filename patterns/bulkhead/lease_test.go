package bulkhead

import (
	"slices"
	"testing"

	"github.com/bulwark-go/bulwark/patterns"
)

// What a lease gives back when it is ended is there for the one who ended it.
func TestWhoEndsLeasesHasTheirSlots(t *testing.T) {
	ask := func(m *Machine, now patterns.Instant, r *patterns.Request) patterns.Decision {
		return m.Acquire(now, 99, r)
	}
	full := func(c Config) *Machine {
		m := newTestMachine(c)
		if n := m.Lease(1, 2); n != 2 {
			t.Fatalf("lent %d", n)
		}
		for i := range uint64(14) {
			ask(m, 1, &patterns.Request{Weight: 1, Deadline: patterns.Instant(i)})
		}
		return m
	}
	for name, r := range map[string]patterns.Request{"waits": {}, "does not wait": {NoWait: true}} {
		m := full(lending)
		if d := ask(m, 1, &r); d.Verdict != patterns.Wait || !d.Dirty || m.Epoch() != 2 {
			t.Errorf("%s, first: %+v", name, d)
		}
		m.SettleLease(1, 1, patterns.Tally{Unused: 2})
		if d := ask(m, 2, &r); d.Verdict != patterns.Grant {
			t.Errorf("%s, again: %+v", name, d)
		}
		if d := ask(m, 2, &r); d.Verdict != patterns.Grant {
			t.Errorf("%s, another: %+v", name, d)
		}
		if d := ask(m, 2, &r); d.Verdict != patterns.Refuse {
			t.Errorf("%s, the last: %+v", name, d)
		}
		if got := short(slices.Collect(m.Drain())); got != "S" {
			t.Errorf("events %s", got)
		}
	}
	m := full(with(lending, func(c *Config) { c.MaxWaiting = 1 }))
	r := patterns.Request{}
	if d := ask(m, 1, &r); d.Verdict != patterns.Wait {
		t.Errorf("%+v", d)
	}
	if _, _, err := m.Join(2, &r, patterns.Queue{}); err != nil || m.Again() != patterns.Never {
		t.Errorf("%v, again at %d", err, m.Again())
	}
	m.SettleLease(2, 1, patterns.Tally{Unused: 1})
	if at := m.Again(); at != 3 {
		t.Errorf("asked again at %d", at)
	}
}

// full is a Machine of 100 slots of which as many as may be are lent, and the others taken.
func full(c Config) (m *Machine, lent int) {
	m = newTestMachine(with(c, func(c *Config) { c.MaxConcurrent = 100 }))
	for range 100 {
		lent += m.Lease(1, 64)
	}
	for i := range uint64(100 - lent) {
		m.Acquire(1, i+1, &patterns.Request{})
	}
	return m, lent
}

// A bulkhead whose unspent leases were all that was missing was never short of anything.
func TestWhatIsOnlyLentIsNoEvent(t *testing.T) {
	rooms := with(lending, func(c *Config) { c.MaxPartitions = 1 })
	for _, tt := range []struct {
		name      string
		cfg       Config
		settle    func(lent int) patterns.Tally
		key       string // of who finds no slot
		waits     bool
		want      string
		saturated int32
	}{
		{"unused", lending, func(lent int) patterns.Tally { return patterns.Tally{Unused: lent} }, "", false, "", 0},
		{"not enough of them", lending, func(lent int) patterns.Tally { return patterns.Tally{Unused: 9} }, "", false, "S", 1},
		{"spent", lending, func(lent int) patterns.Tally { return patterns.Tally{Success: lent} }, "", false, "S,R", 0},
		{"while somebody waits", with(lending, func(c *Config) { c.MaxWaiting = 1 }), func(lent int) patterns.Tally { return patterns.Tally{Unused: lent} }, "", true, "S", 1},
		{"what another lacked", rooms, func(lent int) patterns.Tally { return patterns.Tally{Unused: lent} }, "k", false, "S@k", 1},
	} {
		t.Run(tt.name, func(t *testing.T) {
			m, lent := full(tt.cfg)
			if tt.key != "" {
				m.Acquire(1, 98, &patterns.Request{Key: tt.key, Weight: 100})
			}
			r := patterns.Request{Key: tt.key}
			m.Acquire(1, 99, &r)
			if m.saturated != 1 || m.Timeless() {
				t.Fatal("not saturated")
			}
			if tt.waits {
				_, _, _ = m.Join(1, &r, patterns.Queue{})
			}
			m.SettleLease(1, 1, tt.settle(lent))
			if m.saturated != tt.saturated || m.Timeless() != (tt.saturated == 0) || m.Check() != nil {
				t.Errorf("%d saturated, %v", m.saturated, m.Check())
			}
			m.Tick(2)
			if got := short(slices.Collect(m.Drain())); got != tt.want {
				t.Errorf("events %s, want %s", got, tt.want)
			}
		})
	}
}

// A shell ends the leases before it asks whether the request may wait.
func TestWhoStillLacksSlotsWhenLeasesHaveEndedWaits(t *testing.T) {
	m, lent := full(with(lending, func(c *Config) { c.MaxWaiting = 1 }))
	r := patterns.Request{Weight: 100}
	if d := m.Acquire(1, 99, &r); d.Verdict != patterns.Wait {
		t.Fatalf("%+v", d)
	}
	m.SettleLease(1, 1, patterns.Tally{Unused: lent})
	if m.saturated != 0 {
		t.Fatal("it was only lent")
	}
	if until, dirty, err := m.Join(2, &r, patterns.Queue{}); until != patterns.Never || !dirty || err != nil {
		t.Errorf("%d, %v, %v", until, dirty, err)
	}
	if m.saturated != 1 || m.Timeless() || m.Check() != nil {
		t.Errorf("%d saturated, %v", m.saturated, m.Check())
	}
	for i := range uint64(100 - lent) {
		m.Release(3, patterns.PermitID{ID: i + 1})
	}
	r.Asked = 2
	if d := m.Acquire(3, 99, &r); d.Verdict != patterns.Grant {
		t.Errorf("%+v", d)
	}
}
