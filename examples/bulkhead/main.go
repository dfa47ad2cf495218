// Bulkhead keeps a slow report and a greedy tenant in compartments of their own. You will
// see callers refused for each of the reasons there are, a resize, a panic that leaks
// nothing, and a tenant that fills its own compartment and nobody else's.
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
	"github.com/bulwark-go/bulwark/patterns/bulkhead"
)

func main() {
	log := zap.Must(zap.NewDevelopment())
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	if err := run(ctx, log); err != nil {
		log.Fatal("bulkhead failed", zap.Error(err))
	}
}

func run(ctx context.Context, log *zap.Logger) error {
	system := actor.NewActorSystem(zaplog.ForActorSystem(log))
	guards, err := actors.NewRegistry(system)
	if err != nil {
		return err
	}
	if err := reports(ctx, guards); err != nil {
		return err
	}
	if err := tenants(ctx, guards); err != nil {
		return err
	}
	return guards.Shutdown(ctx)
}

// reports has more callers than slots.
func reports(ctx context.Context, guards *actors.Registry) error {
	cfg := bulkhead.Config{MaxConcurrent: 2, MaxWaiting: 2, MaxWait: 100 * time.Millisecond}
	slots, err := bulkhead.Spawn(guards, "reports", cfg)
	if err != nil {
		return err
	}
	fmt.Println("Two slots, two may wait, for 100 ms.")
	first, err := slots.Acquire(ctx)
	if err != nil {
		return err
	}
	second, err := slots.Acquire(ctx)
	if err != nil {
		return err
	}
	_, err = slots.TryAcquire()
	fmt.Println("does not wait:    ", err)
	_, err = slots.Acquire(ctx)
	full, _ := errors.AsType[*bulkhead.FullError](err)
	fmt.Println("waits too long:   ", full.Cause)
	_, err = slots.AcquireFor(ctx, patterns.Request{Weight: 3})
	fmt.Println("weighs too much:  ", err)

	fmt.Println("\nA third slot, while it runs.")
	cfg.MaxConcurrent = 3
	if err := slots.Reconfigure(ctx, cfg); err != nil {
		return err
	}
	third, err := slots.Acquire(ctx)
	if err != nil {
		return err
	}
	show(ctx, slots)

	fmt.Println("\nA slot comes back even from a panic.")
	third.Report(patterns.Success)
	func() {
		defer func() { fmt.Println("recovered:        ", recover()) }()
		_ = patterns.Run(ctx, slots, func(context.Context) error { panic("a bug in the report") })
	}()
	first.Report(patterns.Success)
	second.Release() // no verdict
	show(ctx, slots)
	return nil
}

// tenants has one who takes all he can get.
func tenants(ctx context.Context, guards *actors.Registry) error {
	slots, err := bulkhead.Spawn(guards, "tenants", bulkhead.Config{MaxConcurrent: 3, MaxPartitions: 100})
	if err != nil {
		return err
	}
	fmt.Println("\nThree slots for each tenant.")
	var held []patterns.Permit
	take := func(tenant string, wants int) {
		got := 0
		for range wants {
			if permit, err := slots.AcquireFor(ctx, patterns.Request{Key: tenant}); err == nil {
				held = append(held, permit)
				got++
			}
		}
		fmt.Printf("%s got:        %d of %d\n", tenant, got, wants)
	}
	take("greedy", 10)
	take("modest", 2)
	s, _ := slots.Snapshot(ctx)
	fmt.Printf("partitions in use: %d, saturated %d\n", s.Partitions, s.SaturatedPartitions)
	for i := range held {
		held[i].Report(patterns.Success)
	}
	s, _ = slots.Snapshot(ctx)
	fmt.Printf("partitions left:   %d\n", s.Partitions)
	return nil
}

func show(ctx context.Context, slots *bulkhead.Bulkhead) {
	s, _ := slots.Snapshot(ctx)
	fmt.Printf("slots taken:       %d, peak %d, of %d; refused %d\n", s.Active, s.Peak, s.Limit, s.Rejected)
}
