// Loadshedder is an edge that gets too busy in every way there is. You will see callers
// wait, the queue fill up, a busy processor push the least important away and not the most
// important, a greedy user kept in check, and the end of it.
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
	"github.com/bulwark-go/bulwark/patterns/loadshedder"
)

func main() {
	log := zap.Must(zap.NewDevelopment())
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	if err := run(ctx, log); err != nil {
		log.Fatal("loadshedder failed", zap.Error(err))
	}
}

func run(ctx context.Context, log *zap.Logger) error {
	system := actor.NewActorSystem(zaplog.ForActorSystem(log))
	guards, err := actors.NewRegistry(system)
	if err != nil {
		return err
	}
	if err := full(ctx, guards); err != nil {
		return err
	}
	if err := busy(ctx, guards); err != nil {
		return err
	}
	if err := greedy(ctx, guards); err != nil {
		return err
	}
	return guards.Shutdown(ctx)
}

// full has more callers than places.
func full(ctx context.Context, guards *actors.Registry) error {
	edge, err := loadshedder.Spawn(guards, "edge", loadshedder.Config{
		MaxInFlight: 4, MaxQueue: 2, MaxWait: 100 * time.Millisecond,
		CPU: loadshedder.Off, Memory: loadshedder.Off,
	})
	if err != nil {
		return err
	}
	fmt.Println("Four places, two may wait, for 100 ms.")
	var held []patterns.Permit
	for range 4 {
		permit, err := edge.Acquire(ctx)
		if err != nil {
			return err
		}
		held = append(held, permit)
	}
	s, _ := edge.Snapshot(ctx)
	fmt.Printf("level:             %v, %.0f %%\n", s.Level, 100*s.Utilization())
	_, err = edge.TryAcquire()
	fmt.Println("does not wait:    ", err)
	_, err = edge.Acquire(ctx)
	shed, _ := errors.AsType[*loadshedder.ShedError](err)
	fmt.Println("waits too long:   ", shed.Cause)
	_, err = edge.AcquireFor(ctx, patterns.Request{Weight: 5})
	fmt.Println("weighs too much:  ", err)
	served := make(chan error)
	go func() {
		permit, err := edge.Acquire(ctx)
		permit.Report(patterns.Success)
		served <- err
	}()
	for i := range held {
		held[i].Report(patterns.Success)
	}
	fmt.Println("waits its turn:   ", <-served)
	return nil
}

// busy has a processor that is, as far as the shedder is told.
func busy(ctx context.Context, guards *actors.Registry) error {
	cpu, err := loadshedder.Spawn(guards, "busy", loadshedder.Config{
		CPU: 0.8, Memory: loadshedder.Off, SampleInterval: loadshedder.Off, Smoothing: loadshedder.Off,
		RaiseAfter: time.Millisecond, ClearAfter: 50 * time.Millisecond, Floor: loadshedder.Off,
	})
	if err != nil {
		return err
	}
	priorities := []patterns.Priority{patterns.Background, patterns.Low, patterns.Normal, patterns.High, patterns.Critical}
	// second is a hundred requests of each priority, in a tenth of a second.
	second := func(used float64) (map[patterns.Priority]int, error) {
		shed := map[patterns.Priority]int{}
		for range 10 {
			if err := cpu.Observe(ctx, loadshedder.Reading{Signal: loadshedder.CPU, Value: used}); err != nil {
				return nil, err
			}
			for range 10 {
				for _, p := range priorities {
					permit, err := cpu.AcquireFor(ctx, patterns.Request{Priority: p})
					if err != nil {
						shed[p]++
						continue
					}
					permit.Report(patterns.Success)
				}
			}
			time.Sleep(10 * time.Millisecond)
		}
		return shed, nil
	}
	fmt.Println("\nThe processor is busy: 100 %.")
	var shed map[patterns.Priority]int
	for range 25 {
		if shed, err = second(1); err != nil {
			return err
		}
	}
	s, _ := cpu.Snapshot(ctx)
	fmt.Println("background:       ", verdict(shed[patterns.Background], 100))
	fmt.Println("critical:         ", verdict(shed[patterns.Critical], 100))
	fmt.Printf("level:             %v, cut-off above %v\n", s.Level, patterns.Background)

	fmt.Println("\nThe processor is idle again.")
	for range 15 {
		if shed, err = second(0.2); err != nil {
			return err
		}
	}
	fmt.Println("background:       ", verdict(shed[patterns.Background], 100))
	s, _ = cpu.Snapshot(ctx)
	fmt.Printf("admitted:          %.0f %%, shed by the CPU only: %v\n", 100*s.Admitted, s.Shed.CPU == s.Shed.Total())
	return nil
}

func verdict(shed, of int) string {
	switch shed {
	case 0:
		return "all admitted"
	case of:
		return "all shed"
	}
	return "shed in part"
}

// greedy has a user who calls ten times as often as the others.
func greedy(ctx context.Context, guards *actors.Registry) error {
	shared, err := loadshedder.Spawn(guards, "shared", loadshedder.Config{
		MaxInFlight: 10, MaxQueue: loadshedder.NoQueue, Fair: true, CPU: loadshedder.Off, Memory: loadshedder.Off,
	})
	if err != nil {
		return err
	}
	fmt.Println("\nTen places, one user asks for all of them, again and again.")
	modest, refused := 0, 0
	for round := range 200 {
		var held []patterns.Permit
		for range 20 {
			if permit, err := shared.AcquireFor(ctx, patterns.Request{Key: "greedy"}); err == nil {
				held = append(held, permit)
			}
		}
		if round >= 100 { // the others come later
			modest++
			permit, err := shared.AcquireFor(ctx, patterns.Request{Key: "modest"})
			if err != nil {
				refused++
			}
			permit.Report(patterns.Success)
		}
		for i := range held {
			held[i].Report(patterns.Success)
		}
	}
	fmt.Printf("another finds one: %v\n", refused <= modest/10)
	return nil
}
