package main

import (
	"context"

	"github.com/go-kratos/aegis/ratelimit"
	"github.com/go-kratos/aegis/ratelimit/bbr"

	"github.com/bulwark-go/bulwark/actors"
	"github.com/bulwark-go/bulwark/patterns"
	"github.com/bulwark-go/bulwark/patterns/loadshedder"
)

// shedders are compared while there is nothing to shed. The bench itself keeps the
// processors busy, so that a threshold for them would be met: none has one that can be.
func shedders() family {
	return admission{
		pattern: "loadshedder", baseline: "kratos", title: "Load shedders",
		about: "A load shedder for 1,000 calls at once has no reason to shed, whatever the processors do.",
		ours: []candidate{
			ours("bulwark", spawnShedder(patterns.Strict)),
			ours("bulwark-leased", spawnShedder(patterns.Leased(0, 0))),
		},
		rivals: []candidate{
			rival("kratos", kratosBBR),
			rival("mutex", func() func(context.Context, task) (int, error) { return (&gate{limit: slots}).do }),
		},
	}.family()
}

func spawnShedder(mode patterns.Mode) func(*actors.Registry) (*loadshedder.Shedder, error) {
	return func(r *actors.Registry) (*loadshedder.Shedder, error) {
		return loadshedder.Spawn(r, "s", loadshedder.Config{MaxInFlight: slots, CPU: loadshedder.Off, Memory: 1, Mode: mode})
	}
}

func kratosBBR() func(context.Context, task) (int, error) {
	const never = 1001 // of 1000 that the processors can be busy
	l := bbr.NewLimiter(bbr.WithCPUThreshold(never))
	return func(ctx context.Context, fn task) (int, error) {
		done, err := l.Allow()
		if err != nil {
			return 0, err
		}
		defer done(ratelimit.DoneInfo{})
		return fn(ctx)
	}
}
