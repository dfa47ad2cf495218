package main

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/failsafe-go/failsafe-go"
	fsrate "github.com/failsafe-go/failsafe-go/ratelimiter"
	"go.uber.org/ratelimit"
	"golang.org/x/time/rate"

	"github.com/bulwark-go/bulwark/actors"
	"github.com/bulwark-go/bulwark/patterns"
	"github.com/bulwark-go/bulwark/patterns/ratelimiter"
)

// quota is how much limiters let through.
type quota struct {
	count int64 // in per
	per   time.Duration
	burst int64
}

var (
	// plenty is more than anybody asks for.
	plenty = quota{count: 1e9, per: time.Second, burst: 1e9}
	// scarce is one, and then none for longer than a run takes.
	scarce = quota{count: 1, per: 24 * time.Hour, burst: 1}
)

// taker is one of those that are asked whether one more may pass.
type taker struct {
	allow func() bool
	stop  func()
}

// limiter makes takers of one kind.
type limiter struct {
	name string
	open func(quota) (taker, error)
	// never says that it cannot refuse, only let wait.
	never bool
}

func limiters() family {
	const allow, deny, call = "ratelimiter/allow", "ratelimiter/deny", "ratelimiter/call"
	subjects := takers(func(t taker) (*instance, error) { return &instance{op: t.allow, stop: t.stop}, nil }, plenty, nil)
	calls := guardedByLimiters()
	budgets := append(callBudgets(call),
		atMostTimes(allow, 1, "bulwark", 1, "xrate"),
		atMostTimes(allow, 64, "bulwark-leased", 0.2, "xrate"))
	for _, c := range []string{allow, deny} {
		for _, s := range []string{"bulwark", "bulwark-leased"} {
			budgets = append(budgets, allocatesNothing(c, 64, s))
		}
	}
	return family{
		cases: []benchCase{
			{
				name: allow, baseline: "xrate", how: tight{}, goroutines: []int{1, 2, 64}, subjects: subjects,
				about: "A limiter with more to give than anybody takes is asked, again and again, whether one more may pass.",
			},
			{
				name: allow + "/loop", baseline: "xrate", how: loop{brief: true}, goroutines: loopedAt, subjects: subjects,
				about: "As ratelimiter/allow, but each caller has 0.5 µs of work of its own between two calls.",
			},
			{
				name: deny, baseline: "xrate", how: tight{}, goroutines: calledAt,
				subjects: takers(startDenying, scarce, func(l limiter) bool { return !l.never }),
				about:    "A limiter that has given what it had is asked, and refuses.",
			},
			{
				name: call, baseline: "xrate", how: tight{}, goroutines: calledAt, subjects: subjectsOf(calls, true),
				about: "A limiter with more to give than anybody takes lets a function through, as a guard.",
			},
		},
		budgets: budgets,
		figures: []figure{{
			file: "ratelimiter.svg", title: "Rate limiters: time of Allow, and throughput in a closed loop",
			panels: []panel{
				{
					title: "ns per Allow (less is better)", c: allow, metric: nsPerOp, unit: 1,
					subjects: namesOf(subjects), groups: calledAt, callers: "goroutine",
				},
				loopPanel(allow+"/loop", namesOf(subjects)),
			},
		}},
	}
}

func limiterMakers() []limiter {
	return []limiter{
		{name: "bulwark", open: openLimiter(patterns.Strict)},
		{name: "bulwark-leased", open: openLimiter(patterns.Leased(0, 0))},
		{name: "xrate", open: func(q quota) (taker, error) { return unstopped(newXRate(q).Allow), nil }},
		{name: "failsafe-bare", open: func(q quota) (taker, error) { return unstopped(newFailsafeRate(q).TryAcquirePermit), nil }},
		{name: "uber", never: true, open: func(q quota) (taker, error) {
			l := ratelimit.New(int(q.count), ratelimit.Per(q.per))
			return unstopped(func() bool { return !l.Take().IsZero() }), nil
		}},
		{name: "mutex", open: func(q quota) (taker, error) { return unstopped(newBucket(q).allow), nil }},
	}
}

func takers(start func(taker) (*instance, error), q quota, fits func(limiter) bool) []subject {
	var subjects []subject
	for _, l := range limiterMakers() {
		if fits == nil || fits(l) {
			subjects = append(subjects, subject{l.name, func(settings) (*instance, error) {
				t, err := l.open(q)
				if err != nil {
					return nil, err
				}
				return start(t)
			}})
		}
	}
	return subjects
}

var errGenerous = errors.New("the limiter refuses too early or too late")

func startDenying(t taker) (*instance, error) {
	if !t.allow() || t.allow() {
		t.stop()
		return nil, errGenerous
	}
	return &instance{op: func() bool { return !t.allow() }, stop: t.stop}, nil
}

// guardedByLimiters are limiters used as guards, and the breakers that they are compared
// with.
func guardedByLimiters() []candidate {
	return slices.Concat([]candidate{
		ours("bulwark", spawnLimiter(plenty, patterns.Strict)),
		ours("bulwark-leased", spawnLimiter(plenty, patterns.Leased(0, 0))),
	}, yardsticks(), []candidate{
		rival("xrate", func() func(context.Context, task) (int, error) {
			l := newXRate(plenty)
			return func(ctx context.Context, fn task) (int, error) {
				if !l.Allow() {
					return 0, errRefused
				}
				return fn(ctx)
			}
		}),
		rival("failsafe", func() func(context.Context, task) (int, error) {
			e := failsafe.With(newFailsafeRate(plenty))
			return func(ctx context.Context, fn task) (int, error) {
				return e.Get(func() (int, error) { return fn(ctx) })
			}
		}),
		rival("mutex", func() func(context.Context, task) (int, error) {
			l := newBucket(plenty)
			return func(ctx context.Context, fn task) (int, error) {
				if !l.allow() {
					return 0, errRefused
				}
				return fn(ctx)
			}
		}),
	})
}

func openLimiter(mode patterns.Mode) func(quota) (taker, error) {
	return func(q quota) (taker, error) {
		l, stop, err := spawned(spawnLimiter(q, mode))
		return taker{allow: func() bool { return l.Allow("") }, stop: stop}, err
	}
}

func spawnLimiter(q quota, mode patterns.Mode) func(*actors.Registry) (*ratelimiter.Limiter, error) {
	return func(r *actors.Registry) (*ratelimiter.Limiter, error) {
		return ratelimiter.Spawn(r, "l", ratelimiter.Config{Rate: q.rate(), MaxKeys: ratelimiter.NoKeys, Mode: mode})
	}
}

func (q quota) rate() ratelimiter.Rate {
	return ratelimiter.Rate{Count: q.count, Per: q.per, Burst: q.burst}
}

func unstopped(allow func() bool) taker { return taker{allow: allow, stop: func() {}} }

func newXRate(q quota) *rate.Limiter {
	return rate.NewLimiter(rate.Limit(float64(q.count)/q.per.Seconds()), int(q.burst))
}

func newFailsafeRate(q quota) fsrate.RateLimiter[int] {
	return fsrate.NewBursty[int](uint(q.count), q.per)
}

func newBucket(q quota) *bucket { return &bucket{born: time.Now(), rule: q.rule()} }
