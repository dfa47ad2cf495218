// Ratelimiter holds the users of an API to a rate each, and its own calls to a partner to
// two rates at once. You will see a burst and its end, all the numbers of an answer, a
// customer with a rate of its own, callers who wait their turn and one who would wait for
// too long, a reservation that is given back, and a flood of made-up keys that gets nowhere.
package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/asynkron/protoactor-go/actor"
	"go.uber.org/zap"

	"github.com/bulwark-go/bulwark/actors"
	"github.com/bulwark-go/bulwark/integrations/zaplog"
	"github.com/bulwark-go/bulwark/patterns"
	"github.com/bulwark-go/bulwark/patterns/ratelimiter"
)

func main() {
	log := zap.Must(zap.NewDevelopment())
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	if err := run(ctx, log); err != nil {
		log.Fatal("ratelimiter failed", zap.Error(err))
	}
}

func run(ctx context.Context, log *zap.Logger) error {
	system := actor.NewActorSystem(zaplog.ForActorSystem(log))
	guards, err := actors.NewRegistry(system)
	if err != nil {
		return err
	}
	for _, story := range []func(context.Context, *actors.Registry) error{users, partner, bookings, flood} {
		if err := story(ctx, guards); err != nil {
			return err
		}
	}
	return guards.Shutdown(ctx)
}

// users have a rate each.
func users(ctx context.Context, guards *actors.Registry) error {
	_, err := ratelimiter.Parse("100 per minute")
	fmt.Println("A bad rate:    ", err)
	limiter, err := ratelimiter.Spawn(guards, "api", ratelimiter.Config{Rate: ratelimiter.MustParse("60/hour burst 3")})
	if err != nil {
		return err
	}
	fmt.Println("\n60 an hour for each user, 3 of them at once.")
	for _, user := range []string{"anna", "anna", "anna", "anna", "bert"} {
		fmt.Printf("%s may:       %v\n", user, limiter.Allow(user))
	}
	a, err := limiter.Take(ctx, "anna", 2)
	if err != nil {
		return err
	}
	fmt.Printf("anna hears:     %d of %d left, two more in about %v\n", a.Remaining, a.Limit, a.RetryAfter.Round(time.Minute))
	fmt.Println("five at once:  ", limiter.WaitN(ctx, "anna", 5))

	fmt.Println("\nAnna buys more.")
	if err := limiter.Override(ctx, "anna", ratelimiter.MustParse("6000/hour burst 300")); err != nil {
		return err
	}
	time.Sleep(time.Second) // one more comes every 600 ms
	got, err := limiter.TakeUpTo(ctx, "anna", 100)
	if err != nil {
		return err
	}
	fmt.Println("anna got some: ", got.N > 0, "of", got.Limit)
	return nil
}

// partner has callers who wait.
func partner(ctx context.Context, guards *actors.Registry) error {
	limiter, err := ratelimiter.Spawn(guards, "partner", ratelimiter.Config{
		Tiers:      ratelimiter.MustParseTiers("2/second burst 1, 1000/hour"),
		MaxWaiting: 10, MaxWait: 1500 * time.Millisecond,
	})
	if err != nil {
		return err
	}
	fmt.Println("\nOne call every 500 ms; nobody waits for more than 1.5 s.")
	const callers = 5
	passed, refused := make(chan string, callers), make(chan string, callers)
	began := time.Now()
	for i := range callers {
		go func() {
			err := patterns.Run(ctx, limiter, func(context.Context) error {
				passed <- fmt.Sprint("caller ", i)
				return nil
			})
			if limited, ok := errors.AsType[*ratelimiter.LimitError](err); ok {
				refused <- fmt.Sprintf("caller %d, %s", i, limited.Cause)
			}
		}()
		for s, _ := limiter.Snapshot(ctx); s.Asked <= uint64(i) && ctx.Err() == nil; s, _ = limiter.Snapshot(ctx) {
			time.Sleep(time.Millisecond) // until it has asked
		}
	}
	fmt.Println("refused at once:", next(ctx, refused))
	for range callers - 1 {
		fmt.Println("passes:        ", next(ctx, passed))
	}
	fmt.Println("took 1.5 s:    ", time.Since(began) >= 1500*time.Millisecond)
	return nil
}

func next(ctx context.Context, c <-chan string) string {
	select {
	case s := <-c:
		return s
	case <-ctx.Done():
		return ctx.Err().Error()
	}
}

// bookings are made for later.
func bookings(ctx context.Context, guards *actors.Registry) error {
	limiter, err := ratelimiter.Spawn(guards, "reports", ratelimiter.Config{Rate: ratelimiter.MustParse("1/hour")})
	if err != nil {
		return err
	}
	fmt.Println("\nOne report an hour, reserved ahead.")
	var booked []ratelimiter.Reservation
	for range 3 {
		v, err := limiter.Reserve(ctx, "anna", 1, 0)
		if err != nil {
			return err
		}
		booked = append(booked, v)
		fmt.Println("reserved:       in", v.Delay().Round(time.Hour))
	}
	for range 2 {
		ok, err := limiter.CancelReservation(ctx, booked[2])
		if err != nil {
			return err
		}
		fmt.Println("given back:    ", ok)
	}
	_, err = limiter.Reserve(ctx, "anna", 1, time.Hour)
	limited, _ := errors.AsType[*ratelimiter.LimitError](err)
	fmt.Println("within an hour:", limited.Cause)
	return nil
}

// flood makes keys up.
func flood(ctx context.Context, guards *actors.Registry) error {
	limiter, err := ratelimiter.Spawn(guards, "open", ratelimiter.Config{Rate: ratelimiter.MustParse("2/hour"), MaxKeys: 1000})
	if err != nil {
		return err
	}
	fmt.Println("\n50,000 made-up keys, and room for 1000.")
	limiter.AllowN("anna", 2)
	for i := range 50_000 {
		limiter.Allow(fmt.Sprint("made-up-", i))
	}
	s, _ := limiter.Snapshot(ctx)
	fmt.Printf("keys:           %d in %d KiB\n", s.Keys, s.KeyBytes>>10)
	fmt.Println("let through:   ", s.Granted < 1200)
	fmt.Println("anna has anew: ", limiter.Allow("anna"))
	return nil
}
