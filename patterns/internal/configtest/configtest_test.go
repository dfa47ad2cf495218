package configtest

import (
	"errors"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"slices"
	"testing"
	"time"

	"github.com/bulwark-go/bulwark/patterns"
)

// Config is one to test with.
type Config struct {
	Limit     int
	For       time.Duration
	MaxFor    time.Duration
	Share     float64
	Fair      bool
	OnFailure patterns.FailPolicy
}

const source = `package x
type Config struct {
	// Limit is the most, 1 or more. Default 10,000, but
	// for some.
	Limit int
	// For is how long. Default 60s.
	For time.Duration
	// MaxFor is for how long at most. Default For if nothing else is said.
	MaxFor time.Duration
	// Share is one of them. Default off: all of them.
	Share float64
	// Fair has all take turns. Default
	// off.
	Fair bool
	// OnFailure says what then. Default FailOpen.
	OnFailure patterns.FailPolicy
}
// Other has options of its own.
type Other struct {
	// Weight is that of the newest. Default 0.5.
	Weight float64
}`

const page = "\n## About\n\n| `Nothing` | none | 3 |\n\n## Options\n\n| option | range | default |\n|---|---|---|\n" +
	"| `Limit` | things, 1 or more | 10,000, or what fits |\n" +
	"| `For` | duration | 1m |\n" +
	"| `MaxFor` | duration | `For`, or 16 × |\n" +
	"| `Share` | (0, 1] | off: all |\n" +
	"| `Fair` | | off |\n" +
	"| `OnFailure` | `patterns.FailOpen`, `FailClosed` | `FailOpen` |\n" +
	"| `Other.Weight` | (0, 1] | 0.5; 1 for some |\n\n## After\n\n| `Else` | none | 3 |\n"

type Other struct{ Weight float64 }

func TestEveryDisagreementAboutADefaultIsFound(t *testing.T) {
	file, err := parser.ParseFile(token.NewFileSet(), "x.go", source, parser.ParseComments)
	if err != nil {
		t.Fatal(err)
	}
	good := Config{Limit: 10_000, For: time.Minute, MaxFor: time.Minute, OnFailure: patterns.FailOpen}
	for _, tt := range []struct {
		name string
		off  float64
		cfg  func(*Config, map[string]string)
		want []string
	}{
		{"none", 0, func(*Config, map[string]string) {}, nil},
		{"a number", 0, func(c *Config, _ map[string]string) { c.Limit = 10 }, []string{
			"Limit: the comment says 10,000, the default is 10", "Limit: the page says 10,000, the default is 10",
		}},
		{"a duration, and one that is not the other any more", 0, func(c *Config, _ map[string]string) { c.For = time.Hour }, []string{
			"For: the comment says 60s, the default is 1h0m0s", "For: the page says 1m, the default is 1h0m0s",
			"MaxFor: the comment says For, the default is 1m0s", "MaxFor: the page says For, the default is 1m0s",
		}},
		{"what is not off", 0, func(c *Config, _ map[string]string) { c.Fair = true }, []string{
			"Fair: the comment says off, the default is true", "Fair: the page says off, the default is true",
		}},
		{"what is off where that is not 0", -1, func(c *Config, _ map[string]string) { c.Share = 0 }, []string{
			"Share: the comment says off, the default is 0", "Share: the page says off, the default is 0",
		}},
		{"it is off", -1, func(c *Config, _ map[string]string) { c.Share = -1 }, nil},
		{"a name", 0, func(c *Config, _ map[string]string) { c.OnFailure = patterns.FailClosed }, []string{
			"OnFailure: the comment says FailOpen, the default is fail-closed", "OnFailure: the page says FailOpen, the default is fail-closed",
		}},
		{"a row too few", 0, func(_ *Config, page map[string]string) { delete(page, "Fair") }, []string{"the page does not have Fair"}},
		{"a row too many", 0, func(_ *Config, page map[string]string) { page["Weight"] = "0.5" }, []string{
			"the page has an option Weight, which there is not",
		}},
		{"only the page", 0, func(_ *Config, page map[string]string) { page["Other.Weight"] = "0.50" }, []string{
			"Other.Weight: the page says 0.50, the default is 0.5",
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c, rows := good, options(page)
			tt.cfg(&c, rows)
			if got := disagreements([]*ast.File{file}, rows, tt.off, []any{c, Other{0.5}}); !slices.Equal(got, tt.want) {
				t.Errorf("got %q, want %q", got, tt.want)
			}
		})
	}
}

func TestAFieldWithoutACommentSaysNoDefault(t *testing.T) {
	got := disagreements(nil, map[string]string{"Other.Weight": "1"}, 0, []any{Other{1}})
	if want := []string{"the comment of Other.Weight says no default"}; !slices.Equal(got, want) {
		t.Errorf("got %q", got)
	}
}

func TestFaultsAreFoundInTheirOrder(t *testing.T) {
	fault := func(field string) error { return &patterns.ConfigError{Pattern: "x", Field: field} }
	for _, tt := range []struct {
		err  error
		want []string
	}{
		{nil, nil},
		{fault("A"), []string{"A"}},
		{errors.Join(fault("B"), errors.Join(fault("C"), fault("A")), fault("B")), []string{"B", "C", "A", "B"}},
		{errors.Join(fault("A"), errors.New("A")), []string{"A", `"A"`}},
		{fmt.Errorf("wrapped: %w", fault("A")), []string{`"wrapped: x: A <nil>: "`}},
	} {
		if got := Faulty(tt.err); !slices.Equal(got, tt.want) {
			t.Errorf("%v: got %q, want %q", tt.err, got, tt.want)
		}
	}
}

func TestAFieldThatNoRowBreaksIsFound(t *testing.T) {
	if got := untested[Config]([]string{"For", "Share", "OnFailure", "Limit"}); !slices.Equal(got, []string{"MaxFor", "Fair"}) {
		t.Errorf("%v", got)
	}
}

func TestWhoRunsAnythingIsFound(t *testing.T) {
	if panics(func() {}) || !panics(func() { panic("invalid") }) {
		t.Error("mistaken")
	}
}
