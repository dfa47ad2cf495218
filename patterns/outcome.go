package patterns

import "fmt"

// Outcome is how one permitted attempt ended.
type Outcome uint8

const (
	// Success counts as good; its latency is a valid sample.
	Success Outcome = iota
	// Failure counts against the dependency.
	Failure
	// Dropped was lost to overload (a timeout, a 503): a failure to a breaker, and
	// a reason to cut to a concurrency limit.
	Dropped
	// Ignored teaches nothing: the caller gave up, or an inner guard refused.
	Ignored

	outcomes
)

// Valid reports whether o is one of the four outcomes.
func (o Outcome) Valid() bool { return o < outcomes }

func (o Outcome) String() string {
	switch o {
	case Success:
		return "success"
	case Failure:
		return "failure"
	case Dropped:
		return "dropped"
	case Ignored:
		return "ignored"
	}
	return fmt.Sprintf("outcome(%d)", uint8(o))
}
