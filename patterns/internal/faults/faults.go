// Package faults collects what is wrong with a Config, so that all of it is said at once.
package faults

import (
	"errors"
	"fmt"

	"github.com/bulwark-go/bulwark/patterns"
)

// Faults are those found so far.
type Faults struct {
	pattern string
	found   []error
}

// Of returns an empty collection for a pattern.
func Of(pattern string) *Faults { return &Faults{pattern: pattern} }

// Check adds a fault unless ok. Write ok so that NaN makes it false.
func (f *Faults) Check(ok bool, field string, value any, problem string) {
	if !ok {
		f.found = append(f.found, &patterns.ConfigError{Pattern: f.pattern, Field: field, Value: value, Problem: problem})
	}
}

// Any reports whether there is a fault.
func (f *Faults) Any() bool { return len(f.found) > 0 }

// Common checks the fields that every Config has.
func (f *Faults) Common(mode patterns.Mode, onFailure patterns.FailPolicy) {
	if err := mode.Validate(); err != nil {
		f.Check(false, "Mode", mode, err.Error())
	}
	f.Check(onFailure.Valid(), "OnFailure", onFailure, "must be FailOpen or FailClosed")
}

// Fixed adds a fault if next is to replace is, the value of a field that stays the same
// while a breaker, a valve or what else it is runs.
func (f *Faults) Fixed(what, field string, is, next any) {
	f.Check(next == is, field, next, fmt.Sprintf("is fixed while the %s runs, at %v", what, is))
}

// Err joins all faults; nil if there is none.
func (f *Faults) Err() error { return errors.Join(f.found...) }
