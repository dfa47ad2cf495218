package loadshedder

import "fmt"

// State is what a shedder does with requests. The zero value is Automatic.
type State uint8

const (
	// Automatic: requests are admitted and shed by the rules.
	Automatic State = iota
	// ForcedOpen: an operator has every request shed.
	ForcedOpen
	// ForcedClosed: an operator has every request admitted.
	ForcedClosed
	// MetricsOnly: an operator has every request admitted, and the rules count whom they
	// would have shed.
	MetricsOnly

	states
)

// Valid reports whether s is one of the states above.
func (s State) Valid() bool { return s < states }

func (s State) String() string {
	switch s {
	case Automatic:
		return "automatic"
	case ForcedOpen:
		return "forced-open"
	case ForcedClosed:
		return "forced-closed"
	case MetricsOnly:
		return "metrics-only"
	}
	return fmt.Sprintf("state(%d)", uint8(s))
}
