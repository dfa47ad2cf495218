// Package configtest tests what every Config promises: each of its faults is named, nobody
// runs an invalid one, and its comments, its page and the code agree about its defaults.
package configtest

import (
	"fmt"
	"reflect"
	"slices"
	"testing"

	"github.com/bulwark-go/bulwark/patterns"
)

// Row is an invalid Config and the only field with a fault. It is an alias, so that a table
// of rows needs no keys.
type Row[C any] = struct {
	Name   string
	Config C
	Field  string
}

// Invalid checks that each row is found to be at fault in its field and in no other, and
// that there is a row for every field of C but those of which any value is valid.
func Invalid[C interface{ Validate() error }](t *testing.T, rows []Row[C], anyValid ...string) {
	t.Helper()
	tested := slices.Clone(anyValid)
	for _, row := range rows {
		tested = append(tested, row.Field)
		t.Run(row.Name, func(t *testing.T) {
			if got := Faulty(row.Config.Validate()); !slices.Equal(got, []string{row.Field}) {
				t.Errorf("faults in %v, want %s", got, row.Field)
			}
		})
	}
	for _, field := range untested[C](tested) {
		t.Errorf("no row breaks %s", field)
	}
}

func untested[C any](tested []string) (fields []string) {
	for f := range reflect.TypeFor[C]().Fields() {
		if !slices.Contains(tested, f.Name) {
			fields = append(fields, f.Name)
		}
	}
	return fields
}

// Faulty returns the fields that err finds fault with, in its order. What is no
// ConfigError is returned as its text, which is the name of no field.
func Faulty(err error) (fields []string) {
	if joined, ok := err.(interface{ Unwrap() []error }); ok {
		for _, e := range joined.Unwrap() {
			fields = append(fields, Faulty(e)...)
		}
		return fields
	}
	switch fault, ok := err.(*patterns.ConfigError); { //nolint:errorlint // a wrapped one is a fault of a test
	case ok:
		return []string{fault.Field}
	case err != nil:
		return []string{fmt.Sprintf("%q", err)}
	}
	return nil
}

// NobodyRuns checks that everything that is handed an invalid Config panics: it must have
// been validated before.
func NobodyRuns(t *testing.T, runs map[string]func()) {
	t.Helper()
	for name, run := range runs {
		if !panics(run) {
			t.Errorf("%s took an invalid Config", name)
		}
	}
}

func panics(f func()) (did bool) {
	defer func() { did = recover() != nil }()
	f()
	return false
}
