package outlier

import (
	"testing"

	"github.com/bulwark-go/bulwark/actors/actorstest"
	"github.com/bulwark-go/bulwark/patterns"
)

func TestAChoiceAllocatesOnce(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector allocates")
	}
	e := spawn(t, actorstest.NewRegistry(t), Config{Members: numbered(8)})
	if n := testing.AllocsPerRun(200, func() { choose(t, e).Report(patterns.Success) }); n > 1 {
		t.Errorf("%v allocations", n)
	}
}

func BenchmarkChoose(b *testing.B) {
	for name, n := range map[string]int{"3": 3, "100": 100} {
		b.Run(name, func(b *testing.B) {
			e := spawn(b, actorstest.NewRegistry(b), Config{Members: numbered(n)})
			b.ReportAllocs()
			for b.Loop() {
				choose(b, e).Report(patterns.Success)
			}
		})
	}
}
