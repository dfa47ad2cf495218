package redislimiter

import (
	"context"
	"errors"

	"github.com/bulwark-go/bulwark/patterns/ratelimiter/redis/internal/store"
)

// run is what asks Redis: store.Store.Run.
type run func(ctx context.Context, checks []store.Check, answers []store.Answer) error

// Carry implements patterns.Errand. It is all of a batch that runs outside of turns.
func (b *batch) Carry(ctx context.Context) error { return b.run(ctx, b.checks, b.answers) }

// late reports whether err says that nobody waited any longer for a batch.
func late(err error) bool { return errors.Is(err, context.DeadlineExceeded) }

// hung reports whether err says that all of a call's time went by without an answer. Clients
// have words of their own for that.
func hung(err error) bool {
	if fault, ok := errors.AsType[*store.Fault](err); ok && fault.Class == store.Busy {
		return true
	}
	timed, ok := errors.AsType[interface {
		error
		Timeout() bool
	}](err)
	return ok && timed.Timeout()
}
