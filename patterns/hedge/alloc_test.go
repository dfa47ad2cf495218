package hedge

import (
	"context"
	"testing"
	"time"

	"github.com/bulwark-go/bulwark/actors/actorstest"
	"github.com/bulwark-go/bulwark/patterns"
)

// One for patterns.Do, one for the attempt's own result, and one for its context.
func TestACallThatIsAnsweredAtOnceAllocatesThree(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector allocates")
	}
	guards := actorstest.NewRegistry(t)
	for name, c := range map[string]Config{
		"plain":           {Delay: time.Minute},
		"with a quantile": {Delay: time.Minute, Quantile: 0.95},
		"with a budget":   {Delay: time.Minute, Budget: budget(t, guards, nothing)},
	} {
		t.Run(name, func(t *testing.T) {
			h := spawn(t, guards, name, c)
			ctx := t.Context()
			fn := func(ctx context.Context) (int, error) { return 7, ctx.Err() }
			if n := testing.AllocsPerRun(200, func() { _, _ = patterns.Do(ctx, h, fn) }); n > 3 {
				t.Errorf("%v allocations", n)
			}
		})
	}
}

func BenchmarkFast(b *testing.B) {
	for name, c := range map[string]Config{"plain": {Delay: time.Minute}, "quantile": {Delay: time.Minute, Quantile: 0.95}} {
		b.Run(name, func(b *testing.B) {
			h := spawn(b, actorstest.NewRegistry(b), "h", c)
			ctx := b.Context()
			fn := func(context.Context) (int, error) { return 7, nil }
			b.ReportAllocs()
			for b.Loop() {
				_, _ = patterns.Do(ctx, h, fn)
			}
		})
	}
}
