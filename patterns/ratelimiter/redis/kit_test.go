package redislimiter

import (
	"context"
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/bulwark-go/bulwark/actors"
	"github.com/bulwark-go/bulwark/patterns/ratelimiter"
	"github.com/bulwark-go/bulwark/patterns/ratelimiter/redis/internal/store"
)

// shelf is a store without a server, whose permits do not come back by themselves.
type shelf struct {
	mu     sync.Mutex
	most   int64
	taken  map[string]int64
	peak   int64 // the most that was ever taken of a key
	booked int64
	trips  []int // how many requests and extras each call carried
	fault  func(trip int) error
	hangs  time.Duration // however long the context lets it
	takes  time.Duration
}

func newShelf(most int64) *shelf { return &shelf{most: most, taken: map[string]int64{}} }

var errUnreachable = &store.Fault{Class: store.Unreachable, Err: errors.New("connection refused")}

//bulwark:bubble
func (s *shelf) run(_ context.Context, checks []store.Check, answers []store.Answer) error {
	s.mu.Lock()
	trip := len(s.trips)
	s.trips = append(s.trips, len(checks))
	fault, wait := s.fault, max(s.hangs, s.takes)
	s.mu.Unlock()
	if wait > 0 {
		time.Sleep(wait)
	}
	if fault != nil {
		if err := fault(trip); err != nil {
			for i := range answers {
				answers[i] = store.Answer{Err: err}
			}
			return err
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for i, c := range checks {
		answers[i] = s.decide(c)
	}
	return nil
}

func (s *shelf) decide(c store.Check) store.Answer {
	left := max(0, s.most-s.taken[c.Key])
	a := store.Answer{Limit: s.most}
	switch {
	case c.Kind == store.Reserve: // each that is not there takes a second more
		a.RetryAfter = max(0, time.Duration(s.taken[c.Key]+c.Weight-s.most)*time.Second)
		if a.RetryAfter.Microseconds() <= c.Within {
			s.booked++
			a.Taken, a.Number, a.ResetAfter = c.Weight, s.booked, a.RetryAfter+time.Duration(s.most)*time.Second
			s.taken[c.Key] += c.Weight
		}
	case c.Kind == store.Cancel:
		a.Taken = c.Weight
		s.taken[c.Key] -= c.Weight
	case c.Kind == store.Return:
		s.taken[c.Key] = max(0, s.taken[c.Key]-c.Weight)
	case c.Kind == store.TakeUpTo:
		a.Taken = min(c.Weight, left)
		s.taken[c.Key] += a.Taken
	case c.Weight > left:
		a.RetryAfter = time.Second
	case c.Kind == store.Take:
		a.Taken = c.Weight
		s.taken[c.Key] += c.Weight
	}
	if c.Kind != store.Reserve && a.Taken > 0 {
		s.peak = max(s.peak, s.taken[c.Key])
	}
	a.Remaining = max(0, s.most-s.taken[c.Key])
	return a
}

// used is how much of a key is taken.
func (s *shelf) used(key string) int64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.taken[key]
}

func (s *shelf) set(change func(*shelf)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	change(s)
}

// offline is a client that is never used.
func offline() redis.UniversalClient { return &noClient{} }

type noClient struct{ redis.UniversalClient }

func spawnOn(t testing.TB, guards *actors.Registry, s *shelf, cfg Config) *Limiter {
	t.Helper()
	if cfg.Rate == (ratelimiter.Rate{}) && cfg.Tiers == (ratelimiter.Tiers{}) {
		cfg.Rate = ratelimiter.Rate{Count: s.most, Per: time.Hour}
	}
	cfg.Client = offline()
	l := &Limiter{cfg: cfg.named("api").withDefaults()}
	g, err := actors.Spawn(guards, "api", l.spec(s.run), func(typed *actors.Typed[Config, Snapshot]) *Limiter {
		l.Typed = typed
		return l
	})
	if err != nil {
		t.Fatal(err)
	}
	return g
}

// snapshot returns the snapshot, and fails the test if the counts do not balance.
func snapshot(t testing.TB, l *Limiter) Snapshot {
	t.Helper()
	s, ok := l.Snapshot(t.Context())
	if !ok {
		t.Fatal("no snapshot")
	}
	if !s.Balanced() {
		t.Errorf("counts do not balance: %+v", s.Counts)
	}
	return s
}
