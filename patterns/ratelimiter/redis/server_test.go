package redislimiter_test

import (
	"context"
	"crypto/rand"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/bulwark-go/bulwark/actors"
	"github.com/bulwark-go/bulwark/internal/redistest"
	"github.com/bulwark-go/bulwark/patterns/ratelimiter"
	redislimiter "github.com/bulwark-go/bulwark/patterns/ratelimiter/redis"

	"github.com/asynkron/protoactor-go/actor"
)

func TestTwoInstancesShareOneLimit(t *testing.T) {
	url, prefix := servers.Single(t), rand.Text()
	var passed atomic.Int64
	var wg sync.WaitGroup
	for range 2 {
		guards, err := actors.NewRegistry(actor.NewActorSystem())
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = guards.Shutdown(context.Background()) }()
		l, err := redislimiter.Spawn(guards, "api", redislimiter.Config{
			Rate: ratelimiter.MustParse("500/h"), Client: redistest.Client(t, url), Prefix: prefix, OnOutage: redislimiter.FailClosed,
		})
		if err != nil {
			t.Fatal(err)
		}
		for range 64 {
			wg.Go(func() {
				for range 10 {
					if l.Allow("ann") {
						passed.Add(1)
					}
				}
			})
		}
	}
	wg.Wait()
	if passed.Load() != 500 {
		t.Errorf("%d passed, want 500", passed.Load())
	}
}

func BenchmarkHotKey(b *testing.B) {
	guards, err := actors.NewRegistry(actor.NewActorSystem())
	if err != nil {
		b.Fatal(err)
	}
	defer func() { _ = guards.Shutdown(context.Background()) }()
	l, err := redislimiter.Spawn(guards, "api", redislimiter.Config{
		Rate: ratelimiter.MustParse("1000000000/s"), Client: redistest.Client(b, servers.Single(b)), Timeout: 1e10, OnOutage: redislimiter.FailClosed,
	})
	if err != nil {
		b.Fatal(err)
	}
	for _, callers := range []int{1, 256} {
		b.Run(map[int]string{1: "alone", 256: "256"}[callers], func(b *testing.B) {
			b.ReportAllocs()
			var wg sync.WaitGroup
			for range callers {
				n := max(1, b.N/callers)
				wg.Go(func() {
					for range n {
						if !l.Allow("hot") {
							b.Error("refused")
							return
						}
					}
				})
			}
			wg.Wait()
			s, _ := l.Snapshot(context.Background())
			b.ReportMetric(s.MeanBatch(), "mean-batch")
		})
	}
}
