package patterns

import "errors"

// Rejection is how a guard's refusals look to its callers. Its functions run on the
// caller's goroutine; one that panics changes nothing.
type Rejection struct {
	// Replace returns what the caller gets in place of err, which matches ErrRejected; nil
	// means err. What it returns matches ErrRejected too, and all that err matches.
	Replace func(err error) error
	// Observe sees what the caller gets.
	Observe func(err error)
}

// Rejected returns what the caller gets for err, and lets Observe see it. Errors that do not
// match ErrRejected are none of its business, and t may be nil.
func (t *Terms) Rejected(err error) error {
	if t == nil || t.Rejection == nil || !errors.Is(err, ErrRejected) {
		return err
	}
	r := t.Rejection
	if r.Replace != nil {
		err = replaced(r.Replace, err)
	}
	if r.Observe != nil {
		func() {
			defer func() { _ = recover() }()
			r.Observe(err)
		}()
	}
	return err
}

// replaced is what replace makes of err.
func replaced(replace func(error) error, err error) (result error) {
	result = err
	defer func() { _ = recover() }()
	switch by := replace(err); {
	case by == nil:
		return err
	case errors.Is(by, err):
		return by
	default:
		return &ReplacedError{Err: by, Original: err}
	}
}

// ReplacedError is a refusal that reads as another error, which a Rejection put in its
// place. It matches both.
type ReplacedError struct {
	Err      error
	Original error
}

func (e *ReplacedError) Error() string { return e.Err.Error() }

// Unwrap returns both errors.
func (e *ReplacedError) Unwrap() []error { return []error{e.Err, e.Original} }
