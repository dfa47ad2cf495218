package main

import (
	_ "embed"
	"fmt"
	"strings"
)

// tables shows ns per call at each number of goroutines, and what a call allocates.
func (tight) tables(c benchCase, rs results, _ settings) []table {
	t := table{title: "ns per call, and times " + c.baseline + "'s", head: []string{"subject"}, left: 1}
	for _, g := range c.goroutines {
		t.head = append(t.head, plural(g, "goroutine"), "")
	}
	t.head = append(t.head, "allocs", "bytes")
	for _, s := range c.subjects {
		line := []string{s.name}
		allocs, bytes := 0.0, 0.0
		for _, g := range c.goroutines {
			r, _ := rs.find(c.name, s.name, g)
			base, _ := rs.find(c.name, c.baseline, g)
			line = append(line, number(r.NsPerOp), times(r.NsPerOp, base.NsPerOp))
			allocs, bytes = max(allocs, r.AllocsPerOp), max(bytes, r.BytesPerOp)
		}
		t.add(append(line, fmt.Sprintf("%.1f", allocs), fmt.Sprintf("%.0f", bytes))...)
	}
	return []table{t}
}

// tables shows throughput and waits, a table for each number of callers.
func (l loop) tables(c benchCase, rs results, s settings) []table {
	var all []table
	for _, g := range c.goroutines {
		t := table{title: fmt.Sprintf("%s for %v", plural(g, "caller"), l.lasts(s)), left: 1, head: []string{
			"subject", "M calls/s", "× " + c.baseline, "p50", "p99", "p99.9", "p99.99", "longest", "calls of a caller",
		}}
		base, _ := rs.find(c.name, c.baseline, g)
		for _, s := range c.subjects {
			r, _ := rs.find(c.name, s.name, g)
			t.add(s.name, number(r.OpsPerS/1e6), times(r.OpsPerS, base.OpsPerS),
				nanos(r.P50), nanos(r.P99), nanos(r.P999), nanos(r.P9999), nanos(r.Max),
				count(int(r.FewestCalls))+" to "+count(int(r.MostCalls)))
		}
		all = append(all, t)
	}
	return all
}

// tables shows what one idle subject weighs and what it takes to make one.
func (retained) tables(c benchCase, rs results, _ settings) []table {
	t := table{head: []string{"subject", "bytes kept", "× " + c.baseline, "µs to make", "allocs to make"}, left: 1}
	base, _ := rs.find(c.name, c.baseline, 1)
	for _, s := range c.subjects {
		r, _ := rs.find(c.name, s.name, 1)
		t.add(s.name, number(r.RetainedBytes), times(r.RetainedBytes, base.RetainedBytes),
			number(r.NsPerOp/1e3), number(r.AllocsPerOp))
	}
	return []table{t}
}

func plural(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return count(n) + " " + what + "s"
}

// notes says why budgets are missed, which no measurement can.
//
//go:embed notes.md
var notes string

// howToRead is the page's last word.
const howToRead = `## How to read this

Compare down a column, never across machines: what carries over is the ratio. Every number is the
median of %s; the subjects took turns within a round, each with a fresh instance (in the tight cases, but for those of
many keys, a fifth of a measurement at a turn, since machines change from one second to the next), and
[latest.json](latest.json) has the least, the most and every single round. "ns per call" is wall time divided by
the calls of all goroutines together, so with more goroutines than cores it says what throughput is
left, not how long a caller waits.

The tight cases do nothing but call. They flatter whoever parks all callers but one, since then the
others do not get in its way, and with as little work as this a goroutine may be done before the next one
starts. **The closed loop is the one to believe**: each caller works for %s between calls, of which
%s go into timing the call, and every call is timed. "p99" is a quantile of each round, and
the median of those; "longest" is the longest wait of all rounds, and "calls of a caller" says how many calls
the caller with the fewest and the one with the most completed, in the round where they were furthest apart. With
more callers than processors, each caller also waits for the others' time slices; a subject that never blocks
leaves that to the Go scheduler, so look at how the floor does before blaming somebody. A caller that waits
does not call meanwhile, so one long wait is one sample, however many calls it held up.

A budget is **held** if the medians hold it. "rounds" is the same comparison made in each round by itself: if one
of them lies on the other side of the limit, the verdict says so. A run on a machine that does something else
measures that.
`

// page is results/README.md.
func page(all []family, rs results, m machine, s settings) string {
	var b strings.Builder
	b.WriteString("# Results\n\nWritten by `make bench`; do not edit. Measured on: " + m.String() + ".\n\n")
	for _, f := range all {
		for _, fig := range f.figures {
			if fig.ready(rs) {
				fmt.Fprintf(&b, "![%s](%s)\n\n", fig.title, fig.file)
			}
		}
	}
	for _, f := range all {
		for _, c := range f.cases {
			fmt.Fprintf(&b, "## %s\n\n%s\n\n", c.name, c.about)
			for _, t := range c.how.tables(c, rs, s) {
				b.WriteString(t.String() + "\n")
			}
		}
	}
	verdicts, missed := checkAll(all, rs)
	fmt.Fprintf(&b, "## Budgets\n\n%s\n", budgetSummary(verdicts, missed))
	b.WriteString(budgetTable(verdicts).String() + "\n")
	b.WriteString(notes)
	fmt.Fprintf(&b, howToRead, plural(s.rounds, "round"), nanos(float64(ownWork)), nanos(float64(m.Work.clock)))
	return b.String()
}

func budgetSummary(verdicts []verdict, missed int) string {
	measured := 0
	for _, v := range verdicts {
		if v.measured {
			measured++
		}
	}
	return fmt.Sprintf("%d of %d held, %d missed, %d not measured.\n",
		measured-missed, len(verdicts), missed, len(verdicts)-measured)
}
