package main

import (
	"context"
	"fmt"
	"hash/maphash"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/sethvargo/go-limiter/memorystore"
	"github.com/throttled/throttled/v2"
	"github.com/throttled/throttled/v2/store/memstore"
	"golang.org/x/time/rate"

	"github.com/bulwark-go/bulwark/actors"
	"github.com/bulwark-go/bulwark/patterns"
	"github.com/bulwark-go/bulwark/patterns/ratelimiter"
)

// lasting is enough for a hot key, and what one permit of it takes to come back is longer
// than a measurement, so that no key may be forgotten meanwhile.
var lasting = quota{count: 1, per: 10 * time.Second, burst: 4e8}

// keyTaker is asked whether one more may pass under a key.
type keyTaker struct {
	allow func(key string) bool
	stop  func()
}

type keyedLimiter struct {
	name string
	open func(q quota, keys int) (keyTaker, error)
	// aside keeps it out of all but keyed/allow and keyed/memory: to know a million keys
	// takes each subject a second of its own, in every measurement.
	aside bool
}

func keyedLimiters() []keyedLimiter {
	return []keyedLimiter{
		{name: "bulwark", open: openKeyed},
		{name: "xrate-map", open: openXRateMap},
		{name: "xrate-sharded", open: openXRateSharded},
		{name: "throttled", open: openThrottled, aside: true},
		{name: "sethvargo", open: openSethvargo, aside: true},
		{name: "mutex", open: func(q quota, _ int) (keyTaker, error) {
			b := &buckets{fullAt: map[string]time.Duration{}, born: time.Now(), rule: q.rule()}
			return keyTaker{allow: b.allow, stop: func() {}}, nil
		}},
	}
}

func keyed() family {
	const allow, hot, memory = "keyed/allow", "keyed/hot", "keyed/memory"
	all, hottest := keyedSubjects(startWalking, true), keyedSubjects(startHot, false)
	hottest = slices.Insert(hottest, 1, subject{"single", func(settings) (*instance, error) {
		t, err := openLimiter(patterns.Strict)(lasting)
		return &instance{op: t.allow, stop: t.stop}, err
	}})
	fast := budget{of: point{allow, "bulwark", 2}, metric: opsPerS, is: atLeast, limit: 2e6}
	budgets := []budget{fast}
	fast.of.goroutines = 64
	budgets = append(budgets, fast,
		atMostTimes(hot, 1, "bulwark", 1, "single"),
		atMostTimes(hot, 64, "bulwark", 1, "single"),
		allocatesNothing(allow, 64, "bulwark"),
		budget{of: point{memory, "bulwark", 1}, metric: retainedBytes, is: atMost, limit: 200})
	names := namesOf(all)
	return family{
		cases: []benchCase{
			{
				name: allow, baseline: "xrate-map", how: tight{apart: true}, goroutines: loopedAt, subjects: all,
				about: "A limiter that knows a million keys is asked for one after the other, in random order. All have used some.",
			},
			{
				name: allow + "/loop", baseline: "xrate-map", how: loop{brief: true}, goroutines: loopedAt,
				subjects: keyedSubjects(startWalking, false),
				about:    "As keyed/allow, but each caller has 0.5 µs of work of its own between two calls.",
			},
			{
				name: hot, baseline: "xrate-map", how: tight{apart: true}, goroutines: calledAt, subjects: hottest,
				about: "A limiter that knows a million keys is asked for always the same one; single is our limiter without keys.",
			},
			{
				name: memory, baseline: "xrate-map", how: retained{keys: true}, goroutines: []int{1},
				subjects: keyedSubjects(startFilling, true),
				about:    "A million keys are asked for, once each: what does a limiter keep of one? Each key is a string of its own.",
			},
		},
		budgets: budgets,
		figures: []figure{{
			file: "keyed.svg", title: "A million keys: checks in random order, and memory",
			panels: []panel{
				{
					title: "million checks/s (more is better)", c: allow, metric: opsPerS, unit: 1e6,
					subjects: names, groups: loopedAt, callers: "goroutine",
				},
				{
					title: "bytes per key (less is better)", c: memory, metric: retainedBytes, unit: 1,
					subjects: names, groups: []int{1},
				},
			},
		}},
	}
}

func keyedSubjects(start func(keyTaker, keyset) (*instance, error), aside bool) []subject {
	var subjects []subject
	for _, l := range keyedLimiters() {
		if l.aside && !aside {
			continue
		}
		subjects = append(subjects, subject{l.name, func(s settings) (*instance, error) {
			t, err := l.open(lasting, s.keys)
			if err != nil {
				return nil, err
			}
			in, err := start(t, keysOf(s.keys))
			if err != nil {
				t.stop()
				return nil, err
			}
			in.stop = t.stop
			return in, nil
		}})
	}
	return subjects
}

// fill makes all keys known.
func fill(t keyTaker, keys keyset) error {
	for key := range keys.each {
		if !t.allow(key) {
			return fmt.Errorf("%w: key %q at its first request", errRefused, key)
		}
	}
	return nil
}

func startWalking(t keyTaker, keys keyset) (*instance, error) {
	return &instance{each: func() func() bool {
		next := keys.walk()
		return func() bool { return t.allow(next()) }
	}}, fill(t, keys)
}

func startHot(t keyTaker, keys keyset) (*instance, error) {
	key := keys.first()
	return &instance{op: func() bool { return t.allow(key) }}, fill(t, keys)
}

func startFilling(t keyTaker, keys keyset) (*instance, error) {
	next := keys.walk()
	return &instance{op: func() bool { return t.allow(strings.Clone(next())) }}, nil
}

func openKeyed(q quota, keys int) (keyTaker, error) {
	l, stop, err := spawned(func(r *actors.Registry) (*ratelimiter.Limiter, error) {
		return ratelimiter.Spawn(r, "l", ratelimiter.Config{Rate: q.rate(), MaxKeys: keys})
	})
	return keyTaker{allow: l.Allow, stop: stop}, err
}

// xrates is what one finds in most services: a map of x/time/rate limiters.
type xrates struct {
	mu sync.Mutex
	m  map[string]*rate.Limiter
	_  [48]byte // to the end of the cache line, for an array of them
}

func (x *xrates) allow(q quota, key string) bool {
	x.mu.Lock()
	l := x.m[key]
	if l == nil {
		l = newXRate(q)
		x.m[key] = l
	}
	x.mu.Unlock()
	return l.Allow()
}

func openXRateMap(q quota, _ int) (keyTaker, error) {
	x := &xrates{m: map[string]*rate.Limiter{}}
	return keyTaker{allow: func(key string) bool { return x.allow(q, key) }, stop: func() {}}, nil
}

// openXRateSharded makes the same with 256 maps.
func openXRateSharded(q quota, _ int) (keyTaker, error) {
	shards := new([256]xrates)
	for i := range shards {
		shards[i].m = map[string]*rate.Limiter{}
	}
	seed := maphash.MakeSeed()
	return keyTaker{
		allow: func(key string) bool { return shards[maphash.String(seed, key)%256].allow(q, key) },
		stop:  func() {},
	}, nil
}

func openThrottled(q quota, keys int) (keyTaker, error) {
	store, err := memstore.NewCtx(2 * keys) // the oldest key is dropped beyond that
	if err != nil {
		return keyTaker{}, err
	}
	every := throttled.PerDay(int(24 * time.Hour / (q.per / time.Duration(q.count))))
	l, err := throttled.NewGCRARateLimiterCtx(store, throttled.RateQuota{MaxRate: every, MaxBurst: int(q.burst)})
	if err != nil {
		return keyTaker{}, err
	}
	l.SetMaxCASAttemptsLimit(1000) // with the usual 10 a hot key fails
	ctx := context.Background()
	return keyTaker{stop: func() {}, allow: func(key string) bool {
		limited, _, err := l.RateLimitCtx(ctx, key, 1)
		return !limited && err == nil
	}}, nil
}

func openSethvargo(q quota, _ int) (keyTaker, error) {
	ctx := context.Background()
	store, err := memorystore.New(&memorystore.Config{Tokens: uint64(q.burst), Interval: 24 * time.Hour})
	if err != nil {
		return keyTaker{}, err
	}
	return keyTaker{stop: func() { _ = store.Close(ctx) }, allow: func(key string) bool {
		_, _, _, ok, err := store.Take(ctx, key)
		return ok && err == nil
	}}, nil
}
