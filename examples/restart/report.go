package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"text/tabwriter"

	"github.com/bulwark-go/bulwark/actors"
	"github.com/bulwark-go/bulwark/patterns"
	"github.com/bulwark-go/bulwark/patterns/circuitbreaker"
)

// report prints what was seen, and remembers whether a promise was broken.
type report struct{ broken bool }

func (r *report) promise(what string, held bool) {
	mark := '✔'
	if !held {
		mark, r.broken = '✘', true
	}
	fmt.Printf("  %c %s\n", mark, what)
}

// crashed is the state of a breaker before and after its actor panicked.
type crashed struct{ before, after circuitbreaker.Snapshot }

// crash has request meet the bug.
func (r *report) crash(ctx context.Context, breaker *circuitbreaker.Breaker, request func() error) (c crashed) {
	c.before, _ = breaker.Snapshot(ctx)
	fmt.Printf("The breaker is %v, %d in flight, and its actor panics.\n", c.before.State, c.before.InFlight)
	err := request()
	c.after, _ = breaker.Snapshot(ctx) // waits for the restart
	r.promise("the request that met the panic is refused, and never ran",
		errors.Is(err, actors.ErrFailed) && errors.Is(err, patterns.ErrRejected))
	r.promise("the restart kept everything else", c.kept())
	return c
}

func (c crashed) kept() bool {
	b, a := c.before, c.after
	return a.State == b.State && a.Epoch == b.Epoch && a.RetryAt.Equal(b.RetryAt) &&
		a.ConsecutiveFailures == b.ConsecutiveFailures && a.InFlight == b.InFlight &&
		a.Granted == b.Granted && a.Rejected == b.Rejected+1 && a.Restarts == b.Restarts+1 && a.Balanced()
}

func (r *report) table(inUse, open crashed) {
	w := tabwriter.NewWriter(os.Stdout, 0, 0, 3, ' ', 0)
	row := func(what string, value func(circuitbreaker.Snapshot) any) {
		_, _ = fmt.Fprintf(w, "%s\t%v\t%v\t%v\t%v\n", what,
			value(inUse.before), value(inUse.after), value(open.before), value(open.after))
	}
	_, _ = fmt.Fprintln(w, "\n\tbefore\tafter\tbefore\tafter")
	row("state", func(s circuitbreaker.Snapshot) any { return s.State })
	row("epoch", func(s circuitbreaker.Snapshot) any { return s.Epoch })
	row("failures in a row", func(s circuitbreaker.Snapshot) any { return s.ConsecutiveFailures })
	row("calls in flight", func(s circuitbreaker.Snapshot) any { return s.InFlight })
	row("calls granted", func(s circuitbreaker.Snapshot) any { return s.Granted })
	row("calls refused", func(s circuitbreaker.Snapshot) any { return s.Rejected })
	row("restarts", func(s circuitbreaker.Snapshot) any { return s.Restarts })
	_ = w.Flush()
}
