package exchange

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"

	"github.com/bulwark-go/bulwark/actors/actorstest"
)

// An Ask may have its slot, and not have told the broker, when Stop does.
func TestAnExchangeThatBeginsAsStopIsUnderWayEndsAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		system := actorstest.NewSystem(t)
		x, err := New(system, Config{MaxInFlight: 2})
		if err != nil {
			t.Fatal(err)
		}
		x.slots <- struct{}{}
		stopped := make(chan error)
		go func() { stopped <- x.Stop(t.Context()) }()
		synctest.Wait()
		ctx, cancel := context.WithCancelCause(t.Context())
		e := &exchange{x: x, id: "late", asker: x.pid, ctx: ctx, cancel: cancel, release: func() {}}
		x.tell(begun{of: e})
		if cause := context.Cause(ctx); !errors.Is(cause, ErrStopped) {
			t.Errorf("its context ended because of %v", cause)
		}
		x.tell(ended{of: e})
		if err := <-stopped; err != nil {
			t.Error(err)
		}
	})
}
