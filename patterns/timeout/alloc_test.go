package timeout

import (
	"context"
	"testing"

	"github.com/bulwark-go/bulwark/actors/actorstest"
	"github.com/bulwark-go/bulwark/patterns"
	"github.com/bulwark-go/bulwark/patterns/circuitbreaker"
	"github.com/bulwark-go/bulwark/patterns/pipeline"
	"github.com/bulwark-go/bulwark/patterns/retry"
)

// One for patterns.Do, and one for the context.
func TestACallInTimeAllocatesItsContextOnly(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector allocates")
	}
	g := spawn(t, actorstest.NewRegistry(t), "t", second)
	ctx := t.Context()
	fn := func(ctx context.Context) (int, error) { return 7, ctx.Err() }
	if n := testing.AllocsPerRun(200, func() { _, _ = patterns.Do(ctx, g, fn) }); n > 2 {
		t.Errorf("%v allocations", n)
	}
}

func TestARetryABreakerAndATimeoutAllocateWhatTheTimeoutDoes(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector allocates")
	}
	guards := actorstest.NewRegistry(t)
	again, err := retry.Spawn(guards, "again", retry.Config{})
	if err != nil {
		t.Fatal(err)
	}
	breaker, err := circuitbreaker.Spawn(guards, "breaker", circuitbreaker.Config{})
	if err != nil {
		t.Fatal(err)
	}
	p, err := pipeline.New("bank", again, breaker, spawn(t, guards, "t", second))
	if err != nil {
		t.Fatal(err)
	}
	ctx := t.Context()
	fn := func(ctx context.Context) (int, error) { return 7, ctx.Err() }
	if n := testing.AllocsPerRun(200, func() { _, _ = patterns.Do(ctx, p, fn) }); n > 2 {
		t.Errorf("%v allocations", n)
	}
}

func BenchmarkInTime(b *testing.B) {
	g := spawn(b, actorstest.NewRegistry(b), "t", second)
	ctx := b.Context()
	fn := func(context.Context) (int, error) { return 7, nil }
	b.ReportAllocs()
	for b.Loop() {
		_, _ = patterns.Do(ctx, g, fn)
	}
}
