package actors_test

import (
	"context"
	"sync"
	"testing"
	"time"

	"github.com/bulwark-go/bulwark/actors/actorstest"
	"github.com/bulwark-go/bulwark/patterns"
)

// What a request costs here that is decided elsewhere, 50 µs away, together with others.
func BenchmarkErrands(b *testing.B) {
	for _, callers := range []int{1, 16, 256} {
		b.Run(map[int]string{1: "alone", 16: "16", 256: "256"}[callers], func(b *testing.B) {
			o := &office{stock: map[string]int{"k": 1 << 40}}
			trips := 0
			o.call = func(context.Context, []slip) error {
				began := time.Now()
				for trips++; time.Since(began) < 50*time.Microsecond; { // a sleep would take a millisecond
				}
				return nil
			}
			g := spawnBranch(b, actorstest.NewRegistry(b), newBranch(o))
			b.ReportAllocs()
			b.ResetTimer()
			var wg sync.WaitGroup
			for i := range callers {
				n := b.N / callers
				if i < b.N%callers {
					n++
				}
				wg.Go(func() {
					for range n {
						p, err := g.AcquireFor(context.Background(), patterns.Request{Key: "k"})
						if err != nil {
							b.Error(err)
							return
						}
						p.Report(patterns.Success)
					}
				})
			}
			wg.Wait()
			b.ReportMetric(float64(b.N)/float64(trips), "per-trip")
		})
	}
}
