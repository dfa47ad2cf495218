package backpressure

import (
	"errors"
	"testing"

	"github.com/bulwark-go/bulwark/patterns"
)

func TestWhoMayWaitAndWhoMayNot(t *testing.T) {
	try := patterns.Request{NoWait: true}
	refusing := with(small, func(c *Config) { c.MaxWaiting = NoQueue })
	for _, tt := range []struct {
		name  string
		cfg   Config
		r     patterns.Request
		q     patterns.Queue
		cause Cause // "" if it may
		waits int   // that the refusal tells of
	}{
		{"the first", small, patterns.Request{}, patterns.Queue{}, "", 0},
		{"the last who may", small, patterns.Request{}, patterns.Queue{Waiting: 5, Ahead: 9}, "", 0},
		{"one too many", small, patterns.Request{}, patterns.Queue{Waiting: 6, Ahead: 6}, CauseQueue, 6},
		{"however important", small, patterns.Request{Priority: patterns.High}, patterns.Queue{Waiting: 7}, CauseQueue, 7},
		{"nobody may", refusing, patterns.Request{}, patterns.Queue{}, CauseHot, 0},
		{"a try", small, try, patterns.Queue{}, CauseHot, 0},
		{"a try behind others", small, try, patterns.Queue{Waiting: 1, Ahead: 1}, CauseWaiters, 1},
		{"a try before others", small, try, patterns.Queue{Waiting: 1}, CauseHot, 0},
		{"a try behind others where nobody may wait any more", refusing, try, patterns.Queue{Waiting: 1, Ahead: 1}, CauseWaiters, 1},
	} {
		t.Run(tt.name, func(t *testing.T) {
			m := newTestMachine(tt.cfg)
			m.Acquire(1, 1, &patterns.Request{Weight: 4})
			until, _, err := m.Join(7, &tt.r, tt.q)
			if tt.cause == "" {
				if err != nil || until != patterns.Never {
					t.Errorf("until %d, %v", until, err)
				}
				return
			}
			want := PressureError{Name: "v", Cause: tt.cause, Pending: 4, Limit: 5, Waiting: tt.waits}
			if full, ok := errors.AsType[*PressureError](err); !ok || *full != want {
				t.Errorf("got %v, want %v", err, &want)
			}
		})
	}
	if _, _, err := newTestMachine(small).Join(7, &patterns.Request{Weight: 6}, patterns.Queue{Waiting: 1}); !errors.Is(err, patterns.ErrInvalidRequest) {
		t.Errorf("what is too heavy for ever: %v", err)
	}
}
