package config

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
)

// Place is where something stands: in a file, or in a variable of the environment.
type Place struct {
	File         string
	Line, Column int    // from 1; 0 if unknown
	Variable     string // "" for a file
}

func (p Place) String() string {
	switch {
	case p.Variable != "":
		return "environment: " + p.Variable
	case p.Line == 0:
		return p.File
	case p.Column == 0:
		return fmt.Sprintf("%s:%d", p.File, p.Line)
	}
	return fmt.Sprintf("%s:%d:%d", p.File, p.Line, p.Column)
}

// Fault is one thing that is wrong. Load, Parse, Spawn and Reload return all of them at
// once, joined, in the order of their places.
type Fault struct {
	Place
	// Path is what it is about, such as "guards.payments.circuitbreaker.open_for"; "" if it
	// is the file itself.
	Path string
	// Problem says what is wrong, and what would be right.
	Problem string
	// Err is what a pattern's own check said, such as a *patterns.ConfigError, or nil.
	Err error
}

func (f *Fault) Error() string {
	if f.Path == "" {
		return fmt.Sprintf("%v: %s", f.Place, f.Problem)
	}
	return fmt.Sprintf("%v: %s: %s", f.Place, f.Path, f.Problem)
}

// Unwrap returns Err.
func (f *Fault) Unwrap() error { return f.Err }

// maxFaults bounds how many are kept: who reads a file that is none of ours has seen enough.
const maxFaults = 100

// faults are those found so far.
type faults struct {
	found []*Fault
	more  int
}

func (f *faults) add(at Place, path, problem string, args ...any) {
	f.keep(&Fault{Place: at, Path: path, Problem: fmt.Sprintf(problem, args...)})
}

func (f *faults) keep(fault *Fault) {
	if len(f.found) == maxFaults {
		f.more++
		return
	}
	f.found = append(f.found, fault)
}

func (f *faults) any() bool { return len(f.found) > 0 }

func (f *faults) err() error {
	if !f.any() {
		return nil
	}
	slices.SortStableFunc(f.found, func(a, b *Fault) int {
		return cmp.Or(cmp.Compare(a.Variable, b.Variable), cmp.Compare(a.Line, b.Line), cmp.Compare(a.Column, b.Column))
	})
	errs := make([]error, 0, len(f.found)+1)
	for _, fault := range f.found {
		errs = append(errs, fault)
	}
	if f.more > 0 {
		errs = append(errs, fmt.Errorf("config: %d more faults", f.more))
	}
	return errors.Join(errs...)
}

// each calls f for every error that err joins.
func each(err error, f func(error)) {
	if joined, ok := err.(interface{ Unwrap() []error }); ok {
		for _, e := range joined.Unwrap() {
			each(e, f)
		}
		return
	}
	if err != nil {
		f(err)
	}
}
