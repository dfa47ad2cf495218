package retry

import (
	"context"
	"testing"

	"github.com/bulwark-go/bulwark/actors"
	"github.com/bulwark-go/bulwark/actors/actorstest"
	"github.com/bulwark-go/bulwark/patterns"
)

func good(context.Context) (int, error) { return 1, nil }

func TestACallThatSucceedsAtOnceAllocatesNothingUnlessItIsJudged(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector allocates")
	}
	guards := actorstest.NewRegistry(t)
	budget, err := SpawnBudget(guards, "budget", BudgetConfig{})
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		name string
		cfg  Config
		opt  actors.Option
		most float64
	}{
		{"plain", Config{}, nil, 0},
		{"with a budget and a time", Config{Budget: budget, MaxElapsed: sec}, nil, 0},
		{"with a Judge", Config{}, actors.WithJudge(patterns.FailOn(errDown)), 1},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r, err := Spawn(guards, tt.name, tt.cfg, tt.opt)
			if err != nil {
				t.Fatal(err)
			}
			if n := testing.AllocsPerRun(200, func() { _, _ = patterns.Do(t.Context(), r, good) }); n > tt.most {
				t.Errorf("%v allocations", n)
			}
		})
	}
}

func BenchmarkFirst(b *testing.B) {
	r, err := Spawn(actorstest.NewRegistry(b), "bank", Config{})
	if err != nil {
		b.Fatal(err)
	}
	ctx := b.Context()
	b.ReportAllocs()
	for b.Loop() {
		_, _ = patterns.Do(ctx, r, good)
	}
}

func BenchmarkRetried(b *testing.B) {
	r, err := Spawn(actorstest.NewRegistry(b), "bank", every(0, 2))
	if err != nil {
		b.Fatal(err)
	}
	ctx := b.Context()
	b.ReportAllocs()
	for b.Loop() {
		first := true
		_, _ = patterns.Do(ctx, r, func(context.Context) (int, error) {
			if first {
				first = false
				return 0, errDown
			}
			return 1, nil
		})
	}
}
