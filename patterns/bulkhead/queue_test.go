package bulkhead

import (
	"errors"
	"testing"
	"time"

	"github.com/bulwark-go/bulwark/patterns"
)

func TestWhoMayWaitAndWhoMayNot(t *testing.T) {
	try := patterns.Request{NoWait: true}
	for _, tt := range []struct {
		name  string
		cfg   Config
		r     patterns.Request
		q     patterns.Queue
		cause Cause // "" if it may
		waits int   // that the refusal tells of
		until patterns.Instant
	}{
		{"the first", lobbies, patterns.Request{}, patterns.Queue{}, "", 0, patterns.Instant(5*time.Second) + 7},
		{"for ever", patient, patterns.Request{}, patterns.Queue{}, "", 0, patterns.Never},
		{"for less than a second", with(lobbies, func(c *Config) { c.MaxWait = 1 }), patterns.Request{}, patterns.Queue{}, "", 0, 8},
		{"the last who may", lobbies, patterns.Request{}, patterns.Queue{Waiting: 1, Ahead: 9}, "", 0, patterns.Instant(5*time.Second) + 7},
		{"one too many", lobbies, patterns.Request{}, patterns.Queue{Waiting: 2, Ahead: 2}, CauseQueue, 2, 0},
		{"however important", lobbies, patterns.Request{Priority: patterns.High}, patterns.Queue{Waiting: 2}, CauseQueue, 2, 0},
		{"too many in all", lobbies, patterns.Request{}, patterns.Queue{Total: maxWaiting}, CauseQueue, 0, 0},
		{"almost too many in all", lobbies, patterns.Request{}, patterns.Queue{Total: maxWaiting - 1}, "", 0, patterns.Instant(5*time.Second) + 7},
		{"nobody may", four, patterns.Request{}, patterns.Queue{}, CauseSlots, 0, 0},
		{"a try", lobbies, try, patterns.Queue{}, CauseSlots, 0, 0},
		{"a try behind others", lobbies, try, patterns.Queue{Waiting: 1, Ahead: 1}, CauseWaiters, 1, 0},
		{"a try before others", lobbies, try, patterns.Queue{Waiting: 1}, CauseSlots, 0, 0},
		{"a try behind others where nobody may wait any more", four, try, patterns.Queue{Waiting: 1, Ahead: 1}, CauseWaiters, 1, 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			m := newTestMachine(tt.cfg)
			for i := range tt.cfg.MaxConcurrent {
				m.Acquire(1, uint64(i+1), &patterns.Request{})
			}
			until, _, err := m.Join(7, &tt.r, tt.q)
			if tt.cause == "" {
				if err != nil || until != tt.until {
					t.Errorf("until %d, %v", until, err)
				}
				return
			}
			want := FullError{Name: "b", Cause: tt.cause, Limit: m.limit, InFlight: m.limit, Waiting: tt.waits}
			if full, ok := errors.AsType[*FullError](err); !ok || *full != want {
				t.Errorf("got %v, want %v", err, &want)
			}
		})
	}
}

func TestWhoWaitedForTooLongIsToldTheNumbers(t *testing.T) {
	m := newTestMachine(lobbies)
	keyed(m, 1, 1, "a")
	for key, taken := range map[string]int{"a": 1, "": 0, "gone": 0} {
		_, err := m.Expired(9, &patterns.Request{Key: key, Asked: 2})
		want := FullError{Name: "b", Cause: CauseMaxWait, Limit: 2, InFlight: taken}
		if full, ok := errors.AsType[*FullError](err); !ok || *full != want {
			t.Errorf("%q: %v", key, err)
		}
	}
}
