package pipeline

import (
	"fmt"

	"github.com/bulwark-go/bulwark/patterns"
)

// SpendError refuses a Request with Spend: what the outer guards spend could not be given
// back if an inner one refused. It matches patterns.ErrInvalidRequest and
// patterns.ErrRejected.
type SpendError struct{ Name string }

func (e *SpendError) Error() string {
	return fmt.Sprintf("pipeline %q: a request cannot be spent by several guards", e.Name)
}

// Is matches patterns.ErrInvalidRequest and patterns.ErrRejected.
func (e *SpendError) Is(target error) bool {
	return target == patterns.ErrInvalidRequest || target == patterns.ErrRejected
}
