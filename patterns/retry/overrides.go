package retry

import (
	"errors"
	"fmt"
	"slices"

	"github.com/bulwark-go/bulwark/patterns/internal/faults"
)

// MaxOverrides is how many Cases there may be.
const MaxOverrides = 16

// Override is how some errors are retried. A field left zero means what the Config says.
type Override struct {
	// Attempts is how often a call is made at most whose latest error is such a one; the
	// attempts that ended otherwise count too.
	Attempts int
	// Backoff is how long to wait after such an error. It grows with each of them.
	Backoff Backoff
}

// Case is an Override together with the errors that it is for.
type Case struct {
	matches func(error) bool
	use     Override
}

// For is for errors that match one of targets with errors.Is.
func For(o Override, targets ...error) Case {
	targets = slices.Clone(targets)
	return Case{use: o, matches: func(err error) bool {
		return slices.ContainsFunc(targets, func(t error) bool { return errors.Is(err, t) })
	}}
}

// ForType is for errors that errors.As finds to be an E.
func ForType[E error](o Override) Case {
	return Case{use: o, matches: func(err error) bool {
		_, ok := errors.AsType[E](err)
		return ok
	}}
}

// Overrides are Cases, of which the first that fits an error holds for it. They never
// change. Only what the Judge calls a failure is retried at all.
type Overrides struct{ cases []Case }

// NewOverrides returns those of cases, at most MaxOverrides.
func NewOverrides(cases ...Case) *Overrides { return &Overrides{cases: slices.Clone(cases)} }

func (o *Overrides) len() int {
	if o == nil {
		return 0
	}
	return len(o.cases)
}

// match returns the Override for err, and its number from 1; 0 if there is none.
func (o *Overrides) match(err error) (Override, int) {
	if o == nil || err == nil {
		return Override{}, 0
	}
	for i := range o.cases {
		if o.cases[i].matches(err) {
			return o.cases[i].use, i + 1
		}
	}
	return Override{}, 0
}

func (o *Overrides) check(f *faults.Faults) {
	if o == nil {
		return
	}
	f.Check(len(o.cases) <= MaxOverrides, "Overrides", len(o.cases), fmt.Sprintf("must be %d or fewer", MaxOverrides))
	for i, c := range o.cases {
		field := fmt.Sprintf("Overrides[%d]", i)
		f.Check(c.matches != nil, field, i, "is for no errors: use For or ForType")
		checkAttempts(f, field+".Attempts", c.use.Attempts)
		c.use.Backoff.Complain(f, field+".Backoff")
	}
}
