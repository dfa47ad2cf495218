package config

import (
	"strings"
	"testing"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// mustParse reads a text that has no faults, without an environment.
func mustParse(t testing.TB, text string, opts ...Option) *File {
	t.Helper()
	f, err := Parse([]byte(text), append([]Option{Environ(), Name("bulwark.yaml")}, opts...)...)
	if err != nil {
		t.Fatalf("%v\nin\n%s", err, text)
	}
	return f
}

// faultsOf returns the lines of the error of reading text.
func faultsOf(text string, opts ...Option) []string {
	_, err := Parse([]byte(text), append([]Option{Environ(), Name("f")}, opts...)...)
	if err == nil {
		return nil
	}
	return strings.Split(err.Error(), "\n")
}

func configOf(t testing.TB, f *File, name string) any {
	t.Helper()
	for n, c := range f.Guards() {
		if n == name {
			return c
		}
	}
	t.Fatalf("no guard %s", name)
	return nil
}
