package main

import (
	"fmt"
	"io"
	"text/tabwriter"
	"time"
)

// report prints the summary and the promises, and returns the exit status.
func (r *record) report(out io.Writer) (status int) {
	r.summary(out)
	w := tabwriter.NewWriter(out, 0, 0, 3, ' ', 0)
	for _, p := range r.promises() {
		mark := '✔'
		if !p.held {
			mark, status = '✘', broken
		}
		printf(w, "%c %s\t%s\n", mark, p.what, p.measured)
	}
	_ = w.Flush()
	return status
}

// summary prints what happened.
func (r *record) summary(out io.Writer) {
	now := time.Now()
	printf(out, "\nbackend  %s  · well  x failing  ~ slow\n", r.backend(now))
	printf(out, "breaker  %s  C closed  O open  H half-open\n", r.breaker(now))
	printf(out, "traffic  %s  what reached the backend\n\n", r.traffic(now))
	r.table(out)
	w := tabwriter.NewWriter(out, 0, 0, 3, ' ', 0)
	printf(w, "\ntime to open\t%v\n", elapsed(r.plan.outage(), r.opened()))
	printf(w, "time to recover\t%v\n", elapsed(r.plan.heals(), r.recovered()))
	printf(w, "time to fail fast\t%v, on average\n", r.meanFast())
	printf(w, "saved backend calls\t%d of %d\n\n", len(r.results)-len(r.arrivals), len(r.results))
	_ = w.Flush()
}

// table prints where the calls of each phase went.
func (r *record) table(out io.Writer) {
	w := tabwriter.NewWriter(out, 0, 0, 3, ' ', tabwriter.AlignRight)
	printf(w, "backend\tcalls sent\treached it\tsucceeded\tfailed\tfailed fast\t\n")
	row := func(name string, from, to time.Time) {
		var n [endings]int
		sent := r.count(func(x result) bool {
			in := !x.at.Before(from) && x.at.Before(to)
			if in {
				n[x.end]++
			}
			return in
		})
		printf(w, "%s\t%d\t%d\t%d\t%d\t%d\t\n", name, sent, r.arrivedBetween(from, to), n[succeeded], n[failed], n[failedFast])
	}
	for p := range phases {
		row(p.String(), r.plan.begins[p], r.plan.begins[p+1])
	}
	row("all", time.Time{}, time.Now())
	_ = w.Flush()
}

func (r *record) meanFast() time.Duration {
	var sum time.Duration
	n := r.count(func(x result) bool {
		if x.end == failedFast {
			sum += x.took
		}
		return x.end == failedFast
	})
	return sum / time.Duration(max(n, 1))
}

// elapsed is how long after from something happened at to.
func elapsed(from, to time.Time) string {
	if to.IsZero() {
		return "never"
	}
	return to.Sub(from).Round(time.Millisecond).String()
}

func printf(w io.Writer, format string, args ...any) { _, _ = fmt.Fprintf(w, format, args...) }
