package actors_test

import (
	"sync"
	"testing"

	"github.com/bulwark-go/bulwark/actors"
)

func TestLoadsAreWhatIsUnderWay(t *testing.T) {
	l := actors.NewLoads(3)
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for range 100 {
				l.Begin(1)
				l.Begin(2)
				l.End(1)
			}
		})
	}
	wg.Wait()
	if l.Of(0) != 0 || l.Of(1) != 0 || l.Of(2) != 800 {
		t.Errorf("%d, %d, %d", l.Of(0), l.Of(1), l.Of(2))
	}
	for want := range 3 {
		if got := l.Turn(); got != want {
			t.Errorf("turn %d, want %d", got, want)
		}
	}
}
