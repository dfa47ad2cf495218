package store

import (
	"crypto/rand"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
)

const today = 1_770_000_000_000_000 // a time of the years in which this runs, in µs

// clock is the server's clock as a test has it: the script is the one that users get but
// for where it reads the time, and that nothing expires while time stands still.
type clock struct{ now int64 }

// timed has a store's script read the time from c.
func timed(t testing.TB, s *Store, c *clock) {
	t.Helper()
	text := s.script.text
	for _, r := range []struct{ old, with string }{
		{"redis.call('TIME')", "{ ARGV[2] / 1000000 - ARGV[2] % 1000000 / 1000000, ARGV[2] % 1000000 }"},
		{", string.format('%.0f'", ", 3600000 + string.format('%.0f'"},
	} {
		if strings.Count(text, r.old) != 1 {
			t.Fatalf("the script has %q %d times", r.old, strings.Count(text, r.old))
		}
		text = strings.Replace(text, r.old, r.with, 1)
	}
	s.script = newScript(text)
	s.script.more = []any{&c.now}
}

// newStore returns a store with keys that no other has.
func newStore(t testing.TB, client redis.UniversalClient, a Algorithm) *Store {
	t.Helper()
	s, err := New(client, Config{Prefix: "test-" + rand.Text(), Algorithm: a})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func newTimed(t testing.TB, a Algorithm) (*Store, *clock) {
	t.Helper()
	s, c := newStore(t, servers.Client(t), a), &clock{today}
	timed(t, s, c)
	return s, c
}

func (s *Store) mustLaw(t testing.TB, tiers ...Tier) *Law {
	t.Helper()
	l, err := s.Law(tiers...)
	if err != nil {
		t.Fatal(err)
	}
	return l
}

// run is Run of checks that no fault befalls.
func (s *Store) run(t testing.TB, checks ...Check) []Answer {
	t.Helper()
	answers := make([]Answer, len(checks))
	if err := s.Run(t.Context(), checks, answers); err != nil {
		t.Fatal(err)
	}
	for i, a := range answers {
		if a.Err != nil {
			t.Fatalf("check %d: %v", i, a.Err)
		}
	}
	return answers
}

func per(count int64, period time.Duration, burst int64) Tier {
	return Tier{Count: count, Period: period, Burst: burst}
}
