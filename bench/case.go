package main

import "regexp"

// family is what one file of cases adds to the bench.
type family struct {
	// needs, if set, starts what the cases ask of the machine, for the whole of a run. What
	// it fails with says what to do; the cases are left out then.
	needs   func() (stop func() error, err error)
	cases   []benchCase
	budgets []budget
	figures []figure
}

// families lists every family. A new one adds itself here.
func families() []family {
	return []family{breakers(), limiters(), keyed(), shedders(), valves(), adapters(), bulkheads(), pipelines(), mailboxes(), retries(), timeouts(), hedges(), fallbacks(), handlers(), clients(), calls(), redisFamily()}
}

// benchCase compares subjects at one job.
type benchCase struct {
	name       string
	about      string // for the page: what every subject does, in a sentence
	baseline   string // the subject whose results are 1.00×
	how        method
	goroutines []int
	subjects   []subject
}

// subject is one of those compared.
type subject struct {
	name string
	// start makes it ready to be measured: a fresh one for every measurement, so that
	// where the allocator happened to put one does not decide.
	start func(settings) (*instance, error)
}

// instance is a subject ready to be measured.
type instance struct {
	// op does the job once and reports whether it ended as it should. It is safe for
	// concurrent use.
	op func() bool
	// each, if set, makes an op for one goroutine, with a state of its own; then there is
	// no op.
	each func() func() bool
	// stop releases what start took.
	stop func()
}

// ops returns what each of so many goroutines does.
func (in *instance) ops(goroutines int) []func() bool {
	ops := make([]func() bool, goroutines)
	for i := range ops {
		if ops[i] = in.op; in.each != nil {
			ops[i] = in.each()
		}
	}
	return ops
}

// method is a way to measure a case: tight, loop or retained.
type method interface {
	// measure measures one subject, and notes what it got.
	measure(t *turn, s settings) error
	// tables shows the rows of a case, for the page.
	tables(c benchCase, rows results, s settings) []table
}

// plan is what the first round found out for the later ones.
type plan struct {
	ops int // per measurement
}

// selected returns what matches pattern, without the cases that do not; budgets and
// figures stay, and are shown as far as there are results.
func selected(all []family, pattern *regexp.Regexp) []family {
	chosen := make([]family, 0, len(all))
	for _, f := range all {
		matching := f
		matching.cases = nil
		for _, c := range f.cases {
			if pattern.MatchString(c.name) {
				matching.cases = append(matching.cases, c)
			}
		}
		if len(matching.cases) > 0 {
			chosen = append(chosen, matching)
		}
	}
	return chosen
}
