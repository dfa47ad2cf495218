package outlier

import "fmt"

// Reason is why a member was ejected.
type Reason uint8

const (
	// Consecutive says that so many calls in a row have failed.
	Consecutive Reason = iota
	// SuccessRate says that it had far fewer successes than the others.
	SuccessRate

	reasons
)

// Valid reports whether r is one of the reasons above.
func (r Reason) Valid() bool { return r < reasons }

func (r Reason) String() string {
	switch r {
	case Consecutive:
		return "consecutive-failures"
	case SuccessRate:
		return "success-rate"
	}
	return fmt.Sprintf("reason(%d)", uint8(r))
}
