package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/failsafe-go/failsafe-go"
	fscb "github.com/failsafe-go/failsafe-go/circuitbreaker"
	"github.com/sony/gobreaker/v2"

	"github.com/bulwark-go/bulwark/patterns"
	"github.com/bulwark-go/bulwark/patterns/circuitbreaker"
)

// house is where breakers of one kind live: it makes them, with one listener to their
// events if asked for, and is closed after them.
type house struct {
	spawn func(name string) (guarded, error)
	close func()
}

// maker opens the house of one subject.
type maker struct {
	name string
	open func(listen bool) (house, error)
}

func makers() []maker {
	return []maker{
		{"bulwark", bulwark(patterns.Strict)},
		{"bulwark-leased", bulwark(patterns.Leased(0, 0))},
		{"gobreaker", openGobreaker},
		{"failsafe", openFailsafe(true)},
		{"failsafe-bare", openFailsafe(false)},
		{"mutex", openMutex},
		{"ask", openAsk},
	}
}

func breakerConfig(mode patterns.Mode) circuitbreaker.Config {
	return circuitbreaker.Config{ConsecutiveFailures: openAfter, OpenFor: openFor, Probes: probes, Mode: mode}
}

func bulwark(mode patterns.Mode) func(bool) (house, error) {
	return func(listen bool) (house, error) {
		registry, stop, err := openRegistry()
		if err != nil {
			return house{}, err
		}
		if listen {
			events, _ := registry.Subscribe()
			go func() {
				for range events { // listening is all it is for
				}
			}()
		}
		spawn := func(name string) (guarded, error) {
			b, err := circuitbreaker.Spawn(registry, name, breakerConfig(mode))
			return guarded{do: does(b), refusal: circuitbreaker.ErrOpen}, err
		}
		return house{spawn: spawn, close: stop}, nil
	}
}

func openGobreaker(listen bool) (house, error) {
	settings := gobreaker.Settings{
		MaxRequests: probes, Timeout: openFor,
		ReadyToTrip: func(c gobreaker.Counts) bool { return c.ConsecutiveFailures >= openAfter },
	}
	if listen {
		settings.OnStateChange = func(string, gobreaker.State, gobreaker.State) {}
	}
	return house{close: func() {}, spawn: func(name string) (guarded, error) {
		settings.Name = name
		b := gobreaker.NewCircuitBreaker[int](settings)
		do := func(ctx context.Context, fn task) (int, error) {
			return b.Execute(func() (int, error) { return fn(ctx) })
		}
		return guarded{do: do, refusal: gobreaker.ErrOpenState}, nil
	}}, nil
}

// openFailsafe makes failsafe-go's breaker, called through an executor made once, or
// bare: by its own two methods, which do not survive a panic.
func openFailsafe(executor bool) func(bool) (house, error) {
	return func(listen bool) (house, error) {
		return house{close: func() {}, spawn: func(string) (guarded, error) {
			builder := fscb.NewBuilder[int]().WithFailureThreshold(openAfter).WithDelay(openFor).WithSuccessThreshold(probes)
			if listen {
				builder = builder.OnStateChanged(func(fscb.StateChangedEvent) {})
			}
			b := builder.Build()
			if executor {
				e := failsafe.With(b)
				do := func(ctx context.Context, fn task) (int, error) {
					return e.Get(func() (int, error) { return fn(ctx) })
				}
				return guarded{do: do, refusal: fscb.ErrOpen}, nil
			}
			do := func(ctx context.Context, fn task) (int, error) {
				if !b.TryAcquirePermit() {
					return 0, fscb.ErrOpen
				}
				v, err := fn(ctx)
				if err != nil {
					b.RecordFailure()
				} else {
					b.RecordSuccess()
				}
				return v, err
			}
			return guarded{do: do, refusal: fscb.ErrOpen}, nil
		}}, nil
	}
}

func openMutex(listen bool) (house, error) {
	return house{close: func() {}, spawn: func(string) (guarded, error) {
		l := new(locked)
		if listen {
			l.b.onChange = func(plainState, plainState) {}
		}
		return guarded{do: l.do, refusal: errPlainOpen}, nil
	}}, nil
}

func openAsk(listen bool) (house, error) {
	system := newSystem()
	if listen {
		system.EventStream.Subscribe(func(any) {})
	}
	spawn := func(string) (guarded, error) {
		b := new(plain)
		if listen {
			b.onChange = func(_, to plainState) { system.EventStream.Publish(to) }
		}
		return guarded{do: newAsked(system, b).do, refusal: errPlainOpen}, nil
	}
	return house{spawn: spawn, close: system.Shutdown}, nil
}

// breakers are the cases in which circuit breakers are compared.
func breakers() family {
	tightly, looped := []int{1, 2, 64, 1024}, []int{1, 2, 4, 64}
	passing := func(listen bool) []subject {
		return eachMaker(func(m maker, _ settings) (*instance, error) { return startPassing(m, listen) })
	}
	return family{
		cases: []benchCase{
			{
				name: "breaker/closed", baseline: "gobreaker", how: tight{}, goroutines: tightly, subjects: passing(false),
				about: "A closed breaker lets a function through that does nothing and succeeds, call after call.",
			},
			{
				name: "breaker/open", baseline: "gobreaker", how: tight{}, goroutines: tightly, subjects: eachMaker(startRefusing),
				about: "An open breaker refuses, call after call.",
			},
			{
				name: "breaker/subscriber", baseline: "gobreaker", how: tight{}, goroutines: calledAt, subjects: passing(true),
				about: "As breaker/closed, with one listener to the breaker's events.",
			},
			{
				name: "breaker/loop", baseline: "gobreaker", how: loop{}, goroutines: looped, subjects: passing(false),
				about: "As breaker/closed, but each caller has 0.5 µs of work of its own between two calls.",
			},
			{
				name: "breaker/memory", baseline: "gobreaker", how: retained{}, goroutines: []int{1}, subjects: eachMaker(startHoarding),
				about: "Breakers are made and kept; nobody calls them.",
			},
		},
		budgets: breakerBudgets(),
		figures: breakerFigures(),
	}
}

func eachMaker(start func(maker, settings) (*instance, error)) []subject {
	var subjects []subject
	for _, m := range makers() {
		subjects = append(subjects, subject{m.name, func(s settings) (*instance, error) { return start(m, s) }})
	}
	return subjects
}

var errFailed = errors.New("failed")

func fail(context.Context) (int, error) { return 0, errFailed }

// spawnOne makes one breaker in a house of its own.
func spawnOne(m maker, listen bool) (*guarded, error) {
	h, err := m.open(listen)
	if err != nil {
		return nil, err
	}
	g, err := h.spawn("b")
	if err != nil {
		h.close()
		return nil, err
	}
	g.task, g.stop = succeed, h.close
	return &g, nil
}

func startPassing(m maker, listen bool) (*instance, error) {
	g, err := spawnOne(m, listen)
	if err != nil {
		return nil, err
	}
	return g.passing(), nil
}

func startRefusing(m maker, _ settings) (*instance, error) {
	g, err := spawnOne(m, false)
	if err != nil {
		return nil, err
	}
	ctx := context.Background()
	for range openAfter {
		if _, err := g.do(ctx, fail); !errors.Is(err, errFailed) {
			g.stop()
			return nil, fmt.Errorf("open it: %w", err)
		}
	}
	if _, err := g.do(ctx, g.task); !errors.Is(err, g.refusal) {
		g.stop()
		return nil, fmt.Errorf("after %d failures it is not open: %w", openAfter, err)
	}
	op := func() bool { // the task succeeds, so that an error says it never ran
		v, err := g.do(ctx, g.task)
		return v == 0 && err != nil
	}
	return &instance{op: op, stop: g.stop}, nil
}

// startHoarding makes an instance whose op makes one more breaker in the same house.
func startHoarding(m maker, s settings) (*instance, error) {
	h, err := m.open(false)
	if err != nil {
		return nil, err
	}
	kept := make([]guarded, 0, s.retained)
	op := func() bool {
		g, err := h.spawn(fmt.Sprintf("breaker-%05d", len(kept)))
		kept = append(kept, g)
		return err == nil
	}
	return &instance{op: op, stop: func() {
		h.close()
		clear(kept)
	}}, nil
}
