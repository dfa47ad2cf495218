package store

import (
	"strconv"
	"testing"
	"time"
)

// Besides what the client itself needs, a call allocates its arguments and its answer, and
// each key's name as an argument.
func TestAllocsOfARun(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector allocates")
	}
	s := newStore(t, servers.Client(t), TokenBucket)
	law := s.mustLaw(t, per(1_000_000, time.Hour, 1_000_000))
	for _, test := range []struct {
		checks, keys int
		most         float64
	}{{1, 1, 12}, {128, 1, 13}, {128, 128, 141}} {
		checks, answers := make([]Check, test.checks), make([]Answer, test.checks)
		for i := range checks {
			checks[i] = Check{Key: strconv.Itoa(i % test.keys), Law: law, Weight: 1}
		}
		ctx := t.Context()
		if got := testing.AllocsPerRun(50, func() { _ = s.Run(ctx, checks, answers) }); got > test.most {
			t.Errorf("%d checks of %d keys: %v allocations, want at most %v", test.checks, test.keys, got, test.most)
		}
	}
}
