package hedge

import (
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/bulwark-go/bulwark/actors"
	"github.com/bulwark-go/bulwark/actors/actorstest"
	"github.com/bulwark-go/bulwark/patterns"
	"github.com/bulwark-go/bulwark/supervisor/intensity"
)

func TestARestartKeepsTheDelayAndTheNumbers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		guards := actorstest.NewRegistry(t)
		h := spawn(t, guards, "h", with(closely, func(c *Config) { c.MinSamples = 1 }))
		for range 32 { // each is outrun after a second, or what the delay is by then
			if v, err := patterns.Do(t.Context(), h, ending(end{takes: time.Minute}).run); v != 2 || err != nil {
				t.Fatalf("%d, %v", v, err)
			}
		}
		before := snapshot(t, h)
		actorstest.Crash(t, h, actorstest.At(actors.Consult{}))
		if v, err := patterns.Do(t.Context(), h, ending(end{takes: time.Minute}).run); v != 2 || err != nil {
			t.Errorf("%d, %v while it restarts", v, err)
		}
		after := snapshot(t, h)
		if after.Delay != before.Delay || after.Delay == sec || after.ExtraWon != 33 || after.Lost != 33 || after.Restarts != 1 {
			t.Errorf("%+v, then %+v", before, after)
		}
	})
}

func TestAHedgeWithoutAnActorGoesOnOrRefuses(t *testing.T) {
	for _, policy := range []patterns.FailPolicy{patterns.FailOpen, patterns.FailClosed} {
		t.Run(policy.String(), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				guards := actorstest.NewRegistry(t, actors.WithIntensity(intensity.Config{Restarts: 1, Period: time.Minute}))
				h := spawn(t, guards, "h", Config{Delay: ms, OnFailure: policy})
				actorstest.Crash(t, h, actorstest.At(actors.Consult{}), actorstest.Times(3))
				for range 3 {
					_, _ = h.Consult(t.Context(), crowded{})
				}
				synctest.Wait()
				s := ending(end{takes: time.Minute})
				v, err := patterns.Do(t.Context(), h, s.run)
				if policy == patterns.FailOpen && (v != 2 || err != nil) {
					t.Errorf("%d, %v", v, err)
				}
				if policy == patterns.FailClosed && (!errors.Is(err, actors.ErrUnavailable) || !errors.Is(err, patterns.ErrRejected) || len(s.began) != 0) {
					t.Errorf("%v, %d attempts", err, len(s.began))
				}
				s.all.Wait()
			})
		})
	}
}

func TestOnFailureIsFixed(t *testing.T) {
	h := spawn(t, actorstest.NewRegistry(t), "h", Config{})
	if err := h.Reconfigure(t.Context(), Config{OnFailure: patterns.FailClosed}); err == nil {
		t.Error("it can be changed")
	}
}
