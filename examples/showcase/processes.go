package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/bulwark-go/bulwark/examples/internal/fleet"
)

// runFleet has three processes share a limit through Redis for as long as the shop is
// open. Redis is stopped for the second third of it.
func runFleet(ctx context.Context, p plan, s *screen, seconds chan<- fleet.Second) (fleet.Record, error) {
	defer close(seconds)
	log := io.Writer(os.Stderr)
	if s.live { // it would get into the table
		log = io.Discard
	}
	total := p.end().Sub(p.start()).Truncate(time.Second)
	third := (total / 3).Truncate(time.Second)
	return fleet.Run(ctx, fleet.Plan{Up: third, Down: third, Back: total - 2*third}, log, func(x fleet.Second) { seconds <- x })
}

// fleetLine is how the processes did in the last second.
func (r *record) fleetLine() string {
	line := fmt.Sprintf("fleet:   %d processes share %d/s", fleet.Processes, fleet.Limit.Count)
	if len(r.second.By) == 0 {
		return line
	}
	return line + fmt.Sprintf("; Redis %v, let through %v = %d", r.second.Redis, r.second.By, r.second.Together)
}

// fleetPromise is that the processes never got more than the limit together.
func (r *record) fleetPromise() promise {
	most := fleet.Most(r.fleet.Admissions, time.Second)
	how := "through Redis, which was stopped and started"
	if r.fleet.Missing != nil {
		how = "a third each, for want of Redis"
	}
	return promise{
		fmt.Sprintf("fleet: %d processes never got more than %d a second together, %s", fleet.Processes, fleet.Bound, how),
		most > 0 && most <= fleet.Bound, fmt.Sprint(most),
	}
}
