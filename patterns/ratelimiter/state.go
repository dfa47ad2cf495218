package ratelimiter

import "fmt"

// State is what a limiter does with requests. The zero value is Limiting.
type State uint8

const (
	// Limiting: the rates decide.
	Limiting State = iota
	// ForcedOpen: an operator has every request refused.
	ForcedOpen
	// ForcedClosed: an operator has every request pass, and nothing counted.
	ForcedClosed
	// MetricsOnly: an operator has every request pass, and counted as far as the rates
	// let it.
	MetricsOnly

	states
)

// Valid reports whether s is one of the states above.
func (s State) Valid() bool { return s < states }

func (s State) String() string {
	switch s {
	case Limiting:
		return "limiting"
	case ForcedOpen:
		return "forced-open"
	case ForcedClosed:
		return "forced-closed"
	case MetricsOnly:
		return "metrics-only"
	}
	return fmt.Sprintf("state(%d)", uint8(s))
}
