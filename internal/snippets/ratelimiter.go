package snippets

import (
	"context"
	"errors"
	"net/http"
	"strconv"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/bulwark-go/bulwark/actors"
	"github.com/bulwark-go/bulwark/patterns"
	"github.com/bulwark-go/bulwark/patterns/ratelimiter"
)

func limitedHandler(guards *actors.Registry, next http.Handler, userOf func(*http.Request) string) (http.Handler, error) {
	// region: ratelimiter
	limiter, err := ratelimiter.Spawn(guards, "api", ratelimiter.Config{
		Rate: ratelimiter.MustParse("100/minute burst 20"),
	})
	if err != nil {
		return nil, err
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !limiter.Allow(userOf(r)) { // each user has the rate to itself
			http.Error(w, "too many requests", http.StatusTooManyRequests)
			return
		}
		next.ServeHTTP(w, r)
	}), nil
	// endregion
}

func waitsItsTurn(ctx context.Context, guards *actors.Registry, send func(context.Context) error) error {
	// region: ratelimiter-wait
	outgoing, err := ratelimiter.Spawn(guards, "partner", ratelimiter.Config{
		Tiers:      ratelimiter.MustParseTiers("10/second, 1000/hour"), // both, or the call does not count at all
		MaxWaiting: 100, MaxWait: 5 * time.Second,
	})
	if err != nil {
		return err
	}
	err = patterns.Run(ctx, outgoing, send) // waits its turn; refused at once if that is known to come too late
	if limited, ok := errors.AsType[*ratelimiter.LimitError](err); ok {
		return requeue(limited.RetryAfter())
	}
	return err
	// endregion
}

func requeue(time.Duration) error { return nil }

func answers(ctx context.Context, limiter *ratelimiter.Limiter, user string, h http.Header) error {
	// region: ratelimiter-answers
	answer, err := limiter.Take(ctx, user, 1) // Allow, with all the numbers
	if err != nil {
		return err
	}
	h.Set("RateLimit-Limit", strconv.FormatInt(answer.Limit, 10))
	h.Set("RateLimit-Remaining", strconv.FormatInt(answer.Remaining, 10))
	if !answer.Allowed {
		h.Set("Retry-After", strconv.Itoa(int(answer.RetryAfter.Seconds())+1))
	}

	batch, err := limiter.TakeUpTo(ctx, user, 50) // as many as there are: batch.N
	if err != nil {
		return err
	}

	later, err := limiter.Reserve(ctx, user, 5, time.Minute) // 5 permits, within a minute
	if err != nil {
		return err
	}
	time.AfterFunc(later.Delay(), func() { process(batch.N) })
	_, err = limiter.CancelReservation(ctx, later) // never mind: others may have them
	return err
	// endregion
}

func process(int) {}

func specialRates(ctx context.Context, limiter *ratelimiter.Limiter) error {
	// region: ratelimiter-override
	err := limiter.Override(ctx, "big-customer", ratelimiter.MustParse("5000/minute")) // keeps what it used
	if err != nil {
		return err
	}
	return limiter.Reconfigure(ctx, ratelimiter.Config{Rate: ratelimiter.MustParse("200/minute burst 20")})
	// endregion
}

type limitedActor struct{ limiter *ratelimiter.Limiter }

// region: ratelimiter-actor
func (a *limitedActor) Receive(c actor.Context) {
	switch m := c.Message().(type) {
	case order:
		c.Request(a.limiter.PID(), actors.Acquire{Key: m.customer, Spend: true}) // waits its turn without blocking
	case actors.Granted: // nothing to report: the permit is spent
	case actors.Rejected: // try again after m.RetryAfter
	case http.Request:
		c.Request(a.limiter.PID(), actors.Consult{Question: ratelimiter.Take{Key: m.Host, Weight: 2}})
	case ratelimiter.Answer: // m.Allowed, m.Remaining, m.RetryAfter
	}
}

// endregion
