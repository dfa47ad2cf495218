// Backpressure makes a fast producer wait for a slow consumer. You will see the valve get
// hot at its high water mark, the producer wait, and go on when the low one is reached; then
// an actor that produces for credits and never blocks, and a stage of a stream that is never
// read faster than the valve lets it.
package main

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/asynkron/protoactor-go/actor"
	"go.uber.org/zap"

	"github.com/bulwark-go/bulwark/actors"
	"github.com/bulwark-go/bulwark/integrations/zaplog"
	"github.com/bulwark-go/bulwark/patterns"
	"github.com/bulwark-go/bulwark/patterns/backpressure"
)

func main() {
	log := zap.Must(zap.NewDevelopment())
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	if err := run(ctx, log); err != nil {
		log.Fatal("backpressure failed", zap.Error(err))
	}
}

func run(ctx context.Context, log *zap.Logger) error {
	system := actor.NewActorSystem(zaplog.ForActorSystem(log))
	guards, err := actors.NewRegistry(system)
	if err != nil {
		return err
	}
	if err := produce(ctx, guards); err != nil {
		return err
	}
	if err := credits(ctx, guards); err != nil {
		return err
	}
	if err := stream(ctx, guards); err != nil {
		return err
	}
	return guards.Shutdown(ctx)
}

// produce fills a valve and drains it, one step at a time.
func produce(ctx context.Context, guards *actors.Registry) error {
	valve, err := backpressure.Spawn(guards, "ingest", backpressure.Config{MaxPending: 10, HighWater: 8, LowWater: 2})
	if err != nil {
		return err
	}
	fmt.Println("Of ten, hot at eight, calm again at two.")
	var pending []patterns.Permit
	for {
		permit, err := valve.TryAcquire()
		if err != nil {
			fmt.Printf("produced %d, then:  %v\n", len(pending), err)
			break
		}
		pending = append(pending, permit)
	}

	waited := make(chan patterns.Permit, 1)
	go func() {
		permit, err := valve.Acquire(ctx) // waits its turn
		if err == nil {
			waited <- permit
		}
	}()
	for { // until it does
		if s, ok := valve.Snapshot(ctx); !ok || s.Waiting == 1 {
			break
		}
	}
	for i := range 6 {
		if len(waited) > 0 {
			fmt.Println("it did not wait")
		}
		pending[i].Report(patterns.Success) // done
	}
	permit := <-waited
	s, _ := valve.Snapshot(ctx)
	fmt.Printf("six done:           hot %v, pending %d, hot once for a while: %v\n", s.Hot, s.Pending, s.Heats == 1 && s.HotFor > 0)
	permit.Report(patterns.Success)
	for _, p := range pending[6:] {
		p.Release()
	}
	return nil
}

// credits has an actor that reads a thousand lines, for a worker that takes its time.
func credits(ctx context.Context, guards *actors.Registry) error {
	valve, err := backpressure.Spawn(guards, "lines", backpressure.Config{MaxPending: 50})
	if err != nil {
		return err
	}
	fmt.Println("\nAn actor that reads, for credits.")
	root := guards.System().Root
	worker := root.Spawn(actor.PropsFromFunc(func(c actor.Context) {
		if l, ok := c.Message().(line); ok {
			c.Respond(read{l})
		}
	}))
	all := make(chan int, 1)
	root.Spawn(actor.PropsFromProducer(func() actor.Actor { return &reader{valve: valve.PID(), worker: worker, all: all} }))
	select {
	case n := <-all:
		s, _ := valve.Snapshot(ctx)
		fmt.Printf("lines read: %d, never more than %d under way: %v\n", n, s.HighWater, s.Peak <= s.HighWater)
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

type (
	line int
	read struct{ line line }
)

// reader is an actor that is always ready for the next message.
type reader struct {
	valve, worker *actor.PID
	next, done    int
	all           chan<- int
}

const lines = 1000

// Receive reads as many lines as it has credits for.
func (r *reader) Receive(c actor.Context) {
	switch m := c.Message().(type) {
	case *actor.Started:
		c.Request(r.valve, actors.Produce{Window: lines})
	case actors.Demand:
		for range min(m.N, lines-r.next) {
			r.next++
			c.Request(r.worker, line(r.next))
		}
	case read:
		c.Request(r.valve, actors.Done{N: 1})
		if r.done++; r.done == lines {
			r.all <- r.done
			c.Stop(c.Self()) // what it did not use comes back
		}
	}
}

// stream squares numbers, three at a time, and keeps their order.
func stream(ctx context.Context, guards *actors.Registry) error {
	valve, err := backpressure.Spawn(guards, "squares", backpressure.Config{MaxPending: 3})
	if err != nil {
		return err
	}
	fmt.Println("\nA stream under a valve of three.")
	square := func(_ context.Context, i int) (int, error) {
		time.Sleep(time.Duration(5-i%5) * time.Millisecond) // the later, the quicker
		return i * i, nil
	}
	sum := 0
	for sq, err := range backpressure.Map(ctx, slices.Values([]int{1, 2, 3, 4, 5, 6, 7, 8, 9, 10}), valve, square) {
		if err != nil {
			return err
		}
		fmt.Print(sq, " ")
		sum += sq
	}
	s, _ := valve.Snapshot(ctx)
	fmt.Printf("= %d; at most %d at once: %v\n", sum, s.MaxPending, s.Peak <= s.MaxPending)
	return nil
}
