// Package policyerr has the errors of attempts as policies see them: the error that whoever was
// called returned, with what else a policy should know. The caller gets the one within.
package policyerr

import "time"

// failed is an error that matches another, too.
type failed struct {
	error
	also error
}

func (e *failed) Unwrap() []error {
	if e.also == nil {
		return []error{e.error}
	}
	return []error{e.error, e.also}
}

// delayed is a failed that knows when to try again.
type delayed struct {
	failed
	wait time.Duration
}

// RetryAfter is what patterns.RetryAfter looks for.
func (e *delayed) RetryAfter() time.Duration { return e.wait }

// Also returns err as an error that matches also, too: patterns.ErrFinal, say.
func Also(err, also error) error { return &failed{err, also} }

// After returns err as one that says how long to wait before trying again, and matches also,
// too, unless that is nil.
func After(err error, wait time.Duration, also error) error {
	return &delayed{failed{err, also}, wait}
}

// Own is the error that Also or After was given; err itself if it is of neither, or if
// somebody has put another around it.
func Own(err error) error {
	switch e := err.(type) { //nolint:errorlint // what is around it is somebody else's
	case *failed:
		return e.error
	case *delayed:
		return e.error
	}
	return err
}
