package patterns

import (
	"fmt"
	"time"
)

// Operation is something an operator tells a guard to do.
type Operation struct {
	Kind OperationKind
	// For bounds a forced state; 0 means until told otherwise.
	For time.Duration
	// Note is the operator's reason. It is carried by the events.
	Note string
	// By is who the operator is, for the audit event. What leaves it empty is given in the
	// name of its context, or, if it is a message, of its sender.
	By string
}

// OperationKind is the closed set of what operators can ask of any guard. A guard
// refuses what it has no meaning for.
type OperationKind uint8

const (
	// Reset forgets what was learned and starts again.
	Reset OperationKind = iota
	// ForceOpen refuses everything.
	ForceOpen
	// ForceClosed admits everything and records nothing.
	ForceClosed
	// MetricsOnly admits everything and records, but never refuses.
	MetricsOnly

	operationKinds
)

// Valid reports whether k is one of the kinds above.
func (k OperationKind) Valid() bool { return k < operationKinds }

func (k OperationKind) String() string {
	switch k {
	case Reset:
		return "reset"
	case ForceOpen:
		return "force-open"
	case ForceClosed:
		return "force-closed"
	case MetricsOnly:
		return "metrics-only"
	}
	return fmt.Sprintf("operation(%d)", uint8(k))
}
