package fallback

import (
	"testing"
	"time"

	"github.com/bulwark-go/bulwark/actors/actorstest"
	"github.com/bulwark-go/bulwark/patterns"
)

// One is that of patterns.Do. A value that is kept is one more, and so is the box it is in,
// unless it is a pointer.
func TestACallThatSucceedsAllocatesWhatItKeeps(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector allocates")
	}
	guards := actorstest.NewRegistry(t)
	measure := func(name string, most float64, call func()) {
		t.Helper()
		if n := testing.AllocsPerRun(200, call); n > most {
			t.Errorf("%s: %v allocations, want %v", name, n, most)
		}
	}
	plain, number := spawn(t, guards, Config[int]{Steps: seven}), gives(1000, nil)
	measure("nothing kept", 1, func() { _, _ = patterns.Do(t.Context(), plain, number) })
	if err := plain.Stop(t.Context()); err != nil {
		t.Fatal(err)
	}
	pointers, pointer := spawn(t, guards, Config[*int]{LastGood: time.Minute}), gives(new(int), nil)
	measure("a pointer kept", 2, func() { _, _ = patterns.Do(t.Context(), pointers, pointer) })
	if err := pointers.Stop(t.Context()); err != nil {
		t.Fatal(err)
	}
	values := spawn(t, guards, Config[int]{LastGood: time.Minute})
	measure("a value kept", 3, func() { _, _ = patterns.Do(t.Context(), values, number) })
}

func BenchmarkSuccess(b *testing.B) {
	for name, c := range map[string]Config[int]{"nothing kept": {Steps: seven}, "kept": {LastGood: time.Minute}} {
		b.Run(name, func(b *testing.B) {
			f := spawn(b, actorstest.NewRegistry(b), c)
			ctx, fn := b.Context(), gives(1000, nil)
			b.ReportAllocs()
			for b.Loop() {
				_, _ = patterns.Do(ctx, f, fn)
			}
		})
	}
}
