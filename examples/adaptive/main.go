// Adaptive puts a limiter that is told nothing in front of a backend with four workers, and
// eight times as many callers as that. You will see calls become quick and throughput
// stay, what a lost call does, and who goes first when places are scarce.
package main

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/asynkron/protoactor-go/actor"
	"go.uber.org/zap"

	"github.com/bulwark-go/bulwark/actors"
	"github.com/bulwark-go/bulwark/integrations/zaplog"
	"github.com/bulwark-go/bulwark/patterns"
	"github.com/bulwark-go/bulwark/patterns/adaptive"
)

func main() {
	log := zap.Must(zap.NewDevelopment())
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	if err := run(ctx, log); err != nil {
		log.Fatal("adaptive failed", zap.Error(err))
	}
}

func run(ctx context.Context, log *zap.Logger) error {
	system := actor.NewActorSystem(zaplog.ForActorSystem(log))
	guards, err := actors.NewRegistry(system)
	if err != nil {
		return err
	}
	for _, chapter := range []func(context.Context, *actors.Registry) error{overload, lost, scarce} {
		if err := chapter(ctx, guards); err != nil {
			return err
		}
	}
	return guards.Shutdown(ctx)
}

// backend works on four calls at once, and each takes 20 ms.
type backend struct{ workers chan struct{} }

func newBackend() *backend { return &backend{make(chan struct{}, 4)} }

func (b *backend) call(context.Context) error {
	b.workers <- struct{}{}
	time.Sleep(20 * time.Millisecond)
	<-b.workers
	return nil
}

// overload has 32 callers call as fast as they can, with and without a limiter.
func overload(ctx context.Context, guards *actors.Registry) error {
	fmt.Println("Four workers, 32 callers.")
	wildTook, wildDone := rush(newBackend().call)
	limiter, err := adaptive.Spawn(guards, "search", adaptive.Config{})
	if err != nil {
		return err
	}
	b := newBackend()
	tameTook, tameDone := rush(func(context.Context) error { return patterns.Run(ctx, limiter, b.call) })
	s, _ := limiter.Snapshot(ctx)
	fmt.Println("calls take half of the time, or less: ", tameTook <= wildTook/2)
	fmt.Println("most of what four can do is done:     ", tameDone >= wildDone*6/10)
	fmt.Println("the limit it found is near the four:  ", s.Limit >= 4 && s.Limit <= 16)
	return nil
}

// rush returns what a call took on average, and how many were done in two seconds after
// one to learn.
func rush(call func(context.Context) error) (took time.Duration, done int64) {
	var sum, n atomic.Int64
	var wg sync.WaitGroup
	began := time.Now()
	for range 32 {
		wg.Go(func() {
			for time.Since(began) < 3*time.Second {
				start := time.Now()
				if call(context.Background()) != nil {
					time.Sleep(5 * time.Millisecond) // refused: somebody else will know, too
					continue
				}
				if start.Sub(began) > time.Second {
					sum.Add(int64(time.Since(start)))
					n.Add(1)
				}
			}
		})
	}
	wg.Wait()
	return time.Duration(sum.Load() / max(n.Load(), 1)), n.Load()
}

var errBusy = errors.New("503 come back later")

// lost shows which calls lower a limit: those that were lost to overload.
func lost(ctx context.Context, guards *actors.Registry) error {
	fmt.Println("\nA classic, that begins at 20.")
	limiter, err := adaptive.Spawn(guards, "stock", adaptive.Config{Algorithm: adaptive.AIMD{}, Initial: 20},
		actors.WithJudge(adaptive.LostOn(errBusy)))
	if err != nil {
		return err
	}
	after := func(what string, result error) {
		_ = patterns.Run(ctx, limiter, func(context.Context) error { return result })
		s, _ := limiter.Snapshot(ctx)
		fmt.Printf("%-22s limit %d\n", what+":", s.Limit)
	}
	after("no such article", errors.New("404"))
	after("turned away", errBusy)
	after("out of time", context.DeadlineExceeded)
	after("the caller left", context.Canceled)
	return limiter.Reset(ctx)
}

// scarce has one place, and five who want it.
func scarce(ctx context.Context, guards *actors.Registry) error {
	fmt.Println("\nOne place, and two may wait for it.")
	limiter, err := adaptive.Spawn(guards, "reports", adaptive.Config{Initial: 1, Max: 1, MaxWaiting: 2})
	if err != nil {
		return err
	}
	held, err := limiter.Acquire(ctx)
	if err != nil {
		return err
	}
	_, err = limiter.TryAcquire()
	fmt.Println("does not wait:  ", cause(err))
	var wg sync.WaitGroup
	for i, p := range []patterns.Priority{patterns.Low, patterns.Critical} {
		wg.Go(func() {
			permit, err := limiter.AcquireFor(ctx, patterns.Request{Priority: p})
			if err != nil {
				fmt.Println(err)
				return
			}
			fmt.Println("served:         ", p)
			permit.Report(patterns.Success)
		})
		for s := (adaptive.Snapshot{}); s.Waiting <= uint64(i); s, _ = limiter.Snapshot(ctx) {
			time.Sleep(time.Millisecond)
		}
	}
	_, err = limiter.Acquire(ctx)
	fmt.Println("one too many:   ", cause(err))
	held.Report(patterns.Success)
	wg.Wait()
	if err := limiter.ForceOpen(ctx, time.Hour, "maintenance"); err != nil {
		return err
	}
	_, err = limiter.Acquire(ctx)
	fmt.Println("in maintenance: ", cause(err))
	return nil
}

func cause(err error) adaptive.Cause {
	refusal, _ := errors.AsType[*adaptive.LimitError](err)
	if refusal == nil {
		return adaptive.CauseNone
	}
	return refusal.Cause
}
