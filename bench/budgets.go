package main

import (
	"cmp"
	"fmt"
	"math"
	"strconv"
)

// budget is a promise about results: of what the subject needs, compared with what
// another needs, at most or at least so much.
type budget struct {
	what    string // in words; "" means the metric's name
	of      point
	metric  metric
	compare comparison
	to      point // unless compare is absolute
	is      relation
	limit   float64
	round   float64 // what is below this step counts as 0
}

// point is where a result stands.
type point struct {
	c, subject string
	goroutines int
}

func (p point) in(rs results) (row, bool) { return rs.find(p.c, p.subject, p.goroutines) }

type comparison uint8

const (
	absolute comparison = iota
	ratio
	difference
)

type relation uint8

const (
	atMost relation = iota
	atLeast
	above
)

func (r relation) holds(got, limit float64) bool {
	switch r {
	case atMost:
		return got <= limit
	case atLeast:
		return got >= limit
	default:
		return got > limit
	}
}

func (r relation) String() string { return [...]string{"≤", "≥", ">"}[r] }

// verdict is what became of a budget.
type verdict struct {
	budget
	measured bool // the run had the cases that it takes
	held     bool
	got      float64 // from the medians
	// The same from each round on its own: how sure is it?
	min, max float64
}

func (b budget) check(rs results) verdict {
	v := verdict{budget: b}
	mine, ok := b.of.in(rs)
	other, found := b.to.in(rs)
	if !ok || b.compare != absolute && !found {
		return v
	}
	v.measured = true
	v.got = b.apply(*mine.at(b.metric), *other.at(b.metric))
	v.held = b.is.holds(v.got, b.limit)
	v.min, v.max = v.got, v.got
	a, o := mine.Spread[b.metric].Rounds, other.Spread[b.metric].Rounds
	if b.compare == absolute {
		o = make([]float64, len(a))
	}
	for i := range min(len(a), len(o)) {
		got := b.apply(a[i], o[i])
		v.min, v.max = min(v.min, got), max(v.max, got)
	}
	return v
}

func (b budget) apply(mine, other float64) float64 {
	switch b.compare {
	case ratio:
		if other == 0 {
			return math.Inf(1)
		}
		return mine / other
	case difference:
		return mine - other
	}
	if mine < b.round {
		return 0
	}
	return mine
}

// missedBy is by which share of the limit, or by how much where that is 0.
func (v verdict) missedBy() string {
	by := math.Abs(v.got - v.limit)
	if v.limit == 0 {
		return number(by)
	}
	return fmt.Sprintf("%.0f %%", math.Ceil(100*by/v.limit))
}

func (v verdict) String() string {
	switch {
	case !v.measured:
		return "not measured"
	case !v.held:
		return "**missed by " + v.missedBy() + "**"
	case !v.is.holds(v.min, v.limit) || !v.is.holds(v.max, v.limit):
		return "held, not in every round"
	}
	return "held"
}

// describe says what is promised.
func (v verdict) describe() string {
	what := cmp.Or(v.what, v.metric.words())
	limit := strconv.FormatFloat(v.limit, 'f', -1, 64)
	if v.limit >= 10_000 {
		limit = number(v.limit)
	}
	if v.compare == ratio && v.what == "" {
		limit += " × " + v.to.subject
	}
	return fmt.Sprintf("%s %v %s", what, v.is, limit)
}

// checkAll checks every budget and counts those that were missed.
func checkAll(all []family, rs results) (verdicts []verdict, missed int) {
	for _, f := range all {
		for _, b := range f.budgets {
			v := b.check(rs)
			if v.measured && !v.held {
				missed++
			}
			verdicts = append(verdicts, v)
		}
	}
	return verdicts, missed
}

func budgetTable(verdicts []verdict) table {
	t := table{head: []string{"subject", "case", "callers", "budget", "measured", "rounds", "verdict"}, left: 2}
	for _, v := range verdicts {
		line := []string{v.of.subject, v.of.c, count(v.of.goroutines), v.describe(), "–", "–", v.String()}
		if v.of.subject == "ask" {
			line[0] = v.to.subject
		}
		if v.measured {
			line[4], line[5] = number(v.got), number(v.min)+" to "+number(v.max)
		}
		t.add(line...)
	}
	return t
}
