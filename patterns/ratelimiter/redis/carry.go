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
