package main

import (
	"context"

	"github.com/failsafe-go/failsafe-go"
	fsbulkhead "github.com/failsafe-go/failsafe-go/bulkhead"
	fsbreaker "github.com/failsafe-go/failsafe-go/circuitbreaker"
	fslimiter "github.com/failsafe-go/failsafe-go/ratelimiter"

	"github.com/bulwark-go/bulwark/actors"
	"github.com/bulwark-go/bulwark/patterns"
	"github.com/bulwark-go/bulwark/patterns/bulkhead"
	"github.com/bulwark-go/bulwark/patterns/circuitbreaker"
	"github.com/bulwark-go/bulwark/patterns/pipeline"
	"github.com/bulwark-go/bulwark/patterns/ratelimiter"
)

func pipelines() family {
	const name = "pipeline/admission"
	subjects := []subject{
		{"bulwark", startOf(admitted)},
		{"apart", startOf(apart)},
		{"failsafe", func(settings) (*instance, error) {
			e := failsafe.With[int](
				fslimiter.NewBursty[int](1e9, 1e9), fsbulkhead.New[int](slots), fsbreaker.NewBuilder[int]().Build())
			g := guarded{task: succeed, stop: func() {}, do: func(ctx context.Context, fn task) (int, error) {
				return e.Get(func() (int, error) { return fn(ctx) })
			}}
			return g.passing(), nil
		}},
	}
	return family{
		cases: []benchCase{{
			name: name, baseline: "apart", how: tight{}, goroutines: calledAt, subjects: subjects,
			about: "A limiter, a bulkhead and a breaker in a row let a function through; apart, the function is called through each of them on its own.",
		}},
		budgets: []budget{
			atMostTimes(name, 1, "bulwark", 1.2, "apart"),
			atMostTimes(name, 64, "bulwark", 1.2, "apart"),
			allocatesNothing(name, 1, "bulwark"),
			allocatesNothing(name, 64, "bulwark"),
		},
	}
}

// rowOf makes the guards of a pipeline.
func rowOf(r *actors.Registry) ([]patterns.Guard, error) {
	quota, err := ratelimiter.Spawn(r, "quota", ratelimiter.Config{
		Rate: ratelimiter.MustParse("1000000000/second burst 1000000000"), MaxKeys: ratelimiter.NoKeys,
	})
	if err != nil {
		return nil, err
	}
	rooms, err := bulkhead.Spawn(r, "rooms", bulkhead.Config{MaxConcurrent: slots})
	if err != nil {
		return nil, err
	}
	breaker, err := circuitbreaker.Spawn(r, "breaker", circuitbreaker.Config{})
	return []patterns.Guard{quota, rooms, breaker}, err
}

func startOf(open func(guards []patterns.Guard) (func(context.Context, task) (int, error), error)) func(settings) (*instance, error) {
	return func(settings) (*instance, error) {
		r, stop, err := openRegistry()
		if err != nil {
			return nil, err
		}
		guards, err := rowOf(r)
		if err != nil {
			stop()
			return nil, err
		}
		do, err := open(guards)
		if err != nil {
			stop()
			return nil, err
		}
		return (&guarded{do: do, task: succeed, stop: stop}).passing(), nil
	}
}

func admitted(guards []patterns.Guard) (func(context.Context, task) (int, error), error) {
	p, err := pipeline.New("bank", guards...)
	return does(p), err
}

func apart(guards []patterns.Guard) (func(context.Context, task) (int, error), error) {
	return func(ctx context.Context, fn task) (v int, err error) {
		for _, g := range guards {
			if v, err = patterns.Do(ctx, g, fn); err != nil {
				return v, err
			}
		}
		return v, nil
	}, nil
}
