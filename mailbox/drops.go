package mailbox

import (
	"errors"
	"log/slog"
	"sync/atomic"

	"github.com/bulwark-go/bulwark/mailbox/internal/shelf"
)

// Drops counts the messages that a mailbox did not hand to its actor, by reason. Senders
// who asked for a reply got one, with the error that goes with it.
type Drops struct {
	Full     uint64 // there was no room: ErrFull
	Evicted  uint64 // dropped for another message: ErrEvicted
	Expired  uint64 // their deadline was over: ErrExpired
	Overload uint64 // dropped by CoDel: ErrOverload
	Gated    uint64 // refused for the actor's supervisor, with its error
	Closed   uint64 // ErrClosed
	Stopped  uint64 // ErrStopped
}

// Total is the sum of all.
func (d Drops) Total() uint64 {
	return d.Full + d.Evicted + d.Expired + d.Overload + d.Gated + d.Closed + d.Stopped
}

// Sub returns what was dropped since old.
func (d Drops) Sub(old Drops) Drops {
	return Drops{
		d.Full - old.Full, d.Evicted - old.Evicted, d.Expired - old.Expired, d.Overload - old.Overload,
		d.Gated - old.Gated, d.Closed - old.Closed, d.Stopped - old.Stopped,
	}
}

// LogValue names the reasons that there were.
func (d Drops) LogValue() slog.Value {
	var all []slog.Attr
	for _, of := range []struct {
		name string
		n    uint64
	}{
		{"full", d.Full},
		{"evicted", d.Evicted},
		{"expired", d.Expired},
		{"overload", d.Overload},
		{"gated", d.Gated},
		{"closed", d.Closed},
		{"stopped", d.Stopped},
	} {
		if of.n > 0 {
			all = append(all, slog.Uint64(of.name, of.n))
		}
	}
	return slog.GroupValue(all...)
}

// counters are Drops that any goroutine may add to.
type counters struct {
	full, evicted, expired, overload, gated, closed, stopped atomic.Uint64
}

func (c *counters) of(reason error) *atomic.Uint64 {
	switch {
	case errors.Is(reason, ErrFull):
		return &c.full
	case errors.Is(reason, ErrEvicted):
		return &c.evicted
	case errors.Is(reason, ErrExpired):
		return &c.expired
	case errors.Is(reason, ErrOverload):
		return &c.overload
	case errors.Is(reason, ErrClosed):
		return &c.closed
	case errors.Is(reason, ErrStopped):
		return &c.stopped
	}
	return &c.gated
}

func (c *counters) load() Drops {
	return Drops{
		c.full.Load(), c.evicted.Load(), c.expired.Load(), c.overload.Load(), c.gated.Load(), c.closed.Load(), c.stopped.Load(),
	}
}

// count counts a message that is not served, and has it announced.
func (b *box) count(reason error) {
	if errors.Is(reason, ErrPanicked) || errors.Is(reason, ErrNoCredits) {
		return
	}
	b.drops.of(reason).Add(1)
	b.alert()
}

// errorOf says why the shelf dropped an item.
func errorOf(why shelf.Why) error {
	switch why {
	case shelf.Expired:
		return ErrExpired
	case shelf.Shed:
		return ErrOverload
	}
	return ErrEvicted
}
