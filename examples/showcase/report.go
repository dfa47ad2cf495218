package main

import (
	"fmt"
	"io"
	"text/tabwriter"
	"time"

	"github.com/bulwark-go/bulwark/examples/internal/fleet"
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

// summary prints what became of the orders of each scene, and who refused the rest.
func (r *record) summary(out io.Writer) {
	w := tabwriter.NewWriter(out, 0, 0, 3, ' ', tabwriter.AlignRight)
	printf(w, "\nscene\torders\tserved\tfailed\tedge\tcustomers\tbackend\tbreaker\tp50\tp99\t\n")
	for s := range scenes {
		var n [endings]int
		all := r.in(s, func(x result) bool { n[x.end]++; return true })
		printf(w, "%v\t%d\t", s, all)
		for _, ended := range n {
			printf(w, "%d\t", ended)
		}
		printf(w, "%v\t%v\t\n", round(r.quantile(s, 0.5)), round(r.quantile(s, 0.99)))
	}
	_ = w.Flush()
	printf(out, "\nreports  %d made, %d refused, %d panicked; at most %d at once\n",
		r.reports.made.Load(), r.reports.refused.Load(), r.reports.failed.Load(), r.reports.peak.Load())
	printf(out, "events   %d produced, %d written; at most %d pending\n",
		r.stream.produced.Load(), r.stream.written.Load(), r.stream.mostPending.Load())
	printf(out, "mail     %d asked for, %d sent, %d dropped for others, %d refused while the mailer was away; it crashed %d times\n",
		r.mail.asked.Load(), r.mail.sent.Load(), r.mail.dropped.Load(), r.mail.away.Load(), r.mail.failed.Load())
	printf(out, "fleet    %d let through in 3 processes, at most %d in any second", len(r.fleet.Admissions), fleet.Most(r.fleet.Admissions, time.Second))
	if r.fleet.Missing != nil {
		printf(out, "; each kept a third of the limit, as there is no redis-server: make redis installs it where it can")
	}
	printf(out, "\n\n")
}

func round(d time.Duration) time.Duration { return d.Round(time.Millisecond) }

func printf(w io.Writer, format string, args ...any) { _, _ = fmt.Fprintf(w, format, args...) }
