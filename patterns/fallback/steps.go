package fallback

import (
	"errors"
	"fmt"
	"slices"
	"strings"
)

// MaxSteps is how many Steps there may be.
const MaxSteps = 16

// Steps are what is tried in place of a call that failed, in order. They are made by Chain
// and never change. Two of them are the same only if they are of one Chain: functions cannot
// be compared.
type Steps[T any] struct{ all []Step[T] }

// Chain returns steps that are tried in this order, until one succeeds.
func Chain[T any](steps ...Step[T]) *Steps[T] { return &Steps[T]{slices.Clone(steps)} }

// String names the steps.
func (s *Steps[T]) String() string {
	if s == nil {
		return "none"
	}
	names := make([]string, len(s.all))
	for i := range s.all {
		names[i] = s.all[i].name
	}
	return strings.Join(names, ", ")
}

// Step is one of Steps, made by Value or Func. It is for every error that there is a fallback
// for, unless On or When says for which. The zero Step is invalid.
type Step[T any] struct {
	name string
	make maker[T]
	on   []error
	when func(error) bool
}

// Named returns the step with a name, for events and errors. The default says what it is.
func (s Step[T]) Named(name string) Step[T] {
	s.name = name
	return s
}

// On returns the step for the errors that match one of targets, with errors.Is, or that it was
// for already because of On or When.
func (s Step[T]) On(targets ...error) Step[T] {
	s.on = slices.Concat(s.on, targets)
	return s
}

// When returns the step for the errors of which is is true, or that match an On. It runs on the
// caller's goroutine; if it panics, the step has failed with a *PanicError.
func (s Step[T]) When(is func(error) bool) Step[T] {
	s.when = is
	return s
}

func (s *Step[T]) isFor(err error) bool {
	if len(s.on) == 0 && s.when == nil {
		return true
	}
	return slices.ContainsFunc(s.on, func(target error) bool { return errors.Is(err, target) }) || s.when != nil && s.when(err)
}

// fault says what is wrong with the steps.
func (s *Steps[T]) fault() string {
	switch {
	case s == nil:
		return ""
	case len(s.all) == 0 || len(s.all) > MaxSteps:
		return fmt.Sprintf("must be from 1 to %d steps", MaxSteps)
	}
	for i := range s.all {
		if s.all[i].make == nil {
			return fmt.Sprintf("step %d has no function", i+1)
		}
	}
	return ""
}
