package nethttp

import (
	"errors"
	"fmt"
	"net/http"

	"github.com/bulwark-go/bulwark/patterns"
)

// StatusError is what a handler's answer of 500 or more is to a guard, and to a Judge or a
// fallback. No client sees it.
type StatusError struct{ Status int }

func (e *StatusError) Error() string {
	return fmt.Sprintf("the handler answered %d %s", e.Status, http.StatusText(e.Status))
}

// Status is the result of a handler that answered less than 500, for a Judge that looks at
// results: see patterns.JudgeResult.
type Status int

// ServeHTTP does nothing: what has a Status has been answered.
func (Status) ServeHTTP(http.ResponseWriter, *http.Request) {}

// ErrSpent refuses to handle a request again, as a retry or a hedge would: its response has
// begun, or its body was read. It matches patterns.ErrRejected too.
var ErrSpent = fmt.Errorf("nethttp: the request cannot be handled again: %w", patterns.ErrRejected)

// errRefusedInside is what a handler comes to whose request a guard inside it has refused, and
// answered.
var errRefusedInside = fmt.Errorf("nethttp: refused by a guard inside: %w", patterns.ErrRejected)

// ErrNilHandler is what a middleware panics with that is to guard nothing.
var ErrNilHandler = errors.New("nethttp: nil handler")

// errNothing stands for the answer that a policy took away and gave nothing for.
var errNothing = errors.New("nethttp: there is no answer")
