package adaptive

import "fmt"

// State is what a limiter does with calls. The zero value is Adapting.
type State uint8

const (
	// Adapting: calls pass up to the limit, and teach it.
	Adapting State = iota
	// ForcedOpen: an operator has every call refused.
	ForcedOpen
	// ForcedClosed: an operator has every call pass, and nothing learned.
	ForcedClosed
	// MetricsOnly: an operator has every call pass and teach, and none refused.
	MetricsOnly

	states
)

// Valid reports whether s is one of the states above.
func (s State) Valid() bool { return s < states }

func (s State) String() string {
	switch s {
	case Adapting:
		return "adapting"
	case ForcedOpen:
		return "forced-open"
	case ForcedClosed:
		return "forced-closed"
	case MetricsOnly:
		return "metrics-only"
	}
	return fmt.Sprintf("state(%d)", uint8(s))
}
