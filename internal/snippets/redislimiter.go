package snippets

import (
	"context"
	"errors"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/bulwark-go/bulwark/actors"
	"github.com/bulwark-go/bulwark/patterns"
	"github.com/bulwark-go/bulwark/patterns/ratelimiter"
	redislimiter "github.com/bulwark-go/bulwark/patterns/ratelimiter/redis"
)

func sharedLimit(ctx context.Context, guards *actors.Registry, rdb redis.UniversalClient, user string, work func(context.Context) error) error {
	// region: redislimiter
	shared, err := redislimiter.Spawn(guards, "api", redislimiter.Config{
		Rate:     ratelimiter.MustParse("100/second"), // of all instances together
		Client:   rdb,                                 // or URL: "rediss://user:password@host:6379/0"
		OnOutage: redislimiter.Local, Instances: 3,    // without Redis each keeps a third of it
	})
	if err != nil {
		return err
	}
	if !shared.Allow(user) { // one call to Redis for all who ask meanwhile
		return errTooMany
	}
	err = patterns.Run(ctx, shared.For(user), work) // or as a guard, alone or in a pipeline
	// endregion
	return err
}

func leasedLimit(guards *actors.Registry, rdb redis.UniversalClient) (*redislimiter.Limiter, error) {
	// region: redislimiter-leases
	return redislimiter.Spawn(guards, "ingest", redislimiter.Config{
		Rate: ratelimiter.MustParse("50000/second"), Client: rdb, Instances: 3,
		LeaseFor: 200 * time.Millisecond, // permits are taken in advance, and spent without asking
		Mode:     patterns.Leased(0, 0),  // requests without a key do not even ask the actor
	})
	// endregion
}

func whyRefused(err error) string {
	// region: redislimiter-errors
	outage, down := errors.AsType[*redislimiter.OutageError](err)
	limited, over := errors.AsType[*ratelimiter.LimitError](err)
	switch {
	case over: // so many have passed already
		return "come again in " + limited.RetryAfter().String()
	case down: // only with FailClosed
		return "come again in " + outage.RetryAfter().String()
	case errors.Is(err, redislimiter.ErrStore): // NOAUTH, NOPERM, another program's value: put it right
		return err.Error()
	}
	// endregion
	return ""
}
