package handletest

import (
	"context"
	"errors"
	"testing"

	"github.com/bulwark-go/bulwark/patterns"
)

// complaints is a test that goes on when it has failed.
type complaints struct {
	testing.TB
	n int
}

func (c *complaints) Errorf(string, ...any) { c.n++ }
func (c *complaints) Fatal(...any)          { c.n++ }

// handle gives a permit, or err, and tells its counts, if it can.
type handle struct {
	err    error
	counts patterns.Counts
	ok     bool
}

func (h handle) AcquireFor(context.Context, patterns.Request) (p patterns.Permit, err error) {
	return p, h.err
}

func (h handle) Snapshot(context.Context) (patterns.Counts, bool) { return h.counts, h.ok }

func TestItComplainsOfRefusalsAndOfCountsThatDoNotBalance(t *testing.T) {
	balanced, off := patterns.Counts{Asked: 1, Granted: 1, InFlight: 1}, patterns.Counts{Asked: 1}
	for _, tt := range []struct {
		name string
		h    handle
		want int
	}{
		{"all is well", handle{nil, balanced, true}, 0},
		{"refused", handle{errors.New("refused"), balanced, true}, 1},
		{"a call is lost", handle{nil, off, true}, 1},
		{"no snapshot", handle{nil, balanced, false}, 1},
	} {
		c := &complaints{TB: t}
		MustAcquire(c, tt.h, patterns.Request{})
		if got := Settled(c, tt.h); c.n != tt.want || got != tt.h.counts {
			t.Errorf("%s: %d complaints, counts %+v", tt.name, c.n, got)
		}
	}
}
