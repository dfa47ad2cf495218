// Package single is about handlers that are called once for a request: those of frameworks whose
// contexts are one request's, and used again for the next.
package single

import (
	"errors"
	"fmt"

	"github.com/bulwark-go/bulwark/patterns"
	"github.com/bulwark-go/bulwark/patterns/hedge"
	"github.com/bulwark-go/bulwark/patterns/pipeline"
)

// ErrHedge is matched by the error of a guard that is a hedge, or has one in it.
var ErrHedge = errors.New("the framework's handlers are called once, and so cannot be hedged: hedge what they call")

// Check returns why g cannot be around a handler that is called once, or nil. The error names
// every hedge.
func Check(g patterns.Guard) error {
	switch g := g.(type) {
	case *hedge.Hedge:
		return fmt.Errorf("%q: %w", g.Name(), ErrHedge)
	case *pipeline.Pipeline:
		var faults []error
		for _, part := range g.Guards() {
			faults = append(faults, Check(part))
		}
		return errors.Join(faults...)
	}
	return nil
}
