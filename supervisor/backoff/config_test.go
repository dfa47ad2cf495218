package backoff

import (
	"errors"
	"math"
	"os"
	"regexp"
	"slices"
	"testing"
	"time"

	"github.com/bulwark-go/bulwark/patterns"
)

func TestValidate(t *testing.T) {
	for _, tt := range []struct {
		name string
		cfg  Config
		want []string // fields at fault
	}{
		{"the zero value is valid", Config{}, nil},
		{"the extremes are valid", Config{Base: MaxDelay, Max: MaxDelay, Factor: math.MaxFloat64, Jitter: 1, ResetAfter: math.MaxInt64}, nil},
		{"the smallest values are valid", Config{Base: 1, Max: 1, Factor: 1, Jitter: math.SmallestNonzeroFloat64, ResetAfter: 1}, nil},
		{"no jitter is valid", Config{Jitter: NoJitter}, nil},
		{"a base above the default maximum lifts it", Config{Base: time.Hour}, nil},
		{"a negative base is not valid", Config{Base: -1}, []string{"Base"}},
		{"a base beyond the longest delay is not", Config{Base: MaxDelay + 1}, []string{"Base", "Max"}},
		{"a factor below 1 is not", Config{Factor: 0.999}, []string{"Factor"}},
		{"NaN is not a factor", Config{Factor: math.NaN()}, []string{"Factor"}},
		{"infinity is not a factor", Config{Factor: math.Inf(1)}, []string{"Factor"}},
		{"a maximum below the base is not", Config{Base: 2, Max: 1}, []string{"Max"}},
		{"a negative maximum is not", Config{Max: -1}, []string{"Max"}},
		{"a maximum beyond the longest delay is not", Config{Max: MaxDelay + 1}, []string{"Max"}},
		{"a negative quiet time is not", Config{ResetAfter: -1}, []string{"ResetAfter"}},
		{"jitter above 1 is not", Config{Jitter: 1.001}, []string{"Jitter"}},
		{"other negative jitter is not", Config{Jitter: -0.5}, []string{"Jitter"}},
		{"NaN is not a jitter", Config{Jitter: math.NaN()}, []string{"Jitter"}},
		{"infinity is not a jitter", Config{Jitter: math.Inf(1)}, []string{"Jitter"}},
		{
			"every fault is named at once",
			Config{Base: -9, Factor: -9, Max: -9, ResetAfter: -9, Jitter: -9},
			[]string{"Base", "Factor", "Max", "ResetAfter", "Jitter"},
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got := faults(tt.cfg.Validate()); !slices.Equal(got, tt.want) {
				t.Errorf("faults %q, want %q", got, tt.want)
			}
		})
	}
}

// faults returns the fields that err, a join of *patterns.ConfigError, names.
func faults(err error) (fields []string) {
	join, ok := err.(interface{ Unwrap() []error })
	if !ok {
		return nil
	}
	for _, e := range join.Unwrap() {
		if fault, ok := errors.AsType[*patterns.ConfigError](e); ok {
			fields = append(fields, fault.Field)
		}
	}
	return fields
}

func TestFaultsReadAsSentences(t *testing.T) {
	err := Config{Factor: 0.5}.Validate()
	if want := "backoff: Factor 0.5: must be at least 1 and finite"; err.Error() != want {
		t.Errorf("got %q, want %q", err, want)
	}
}

func TestNewPanicsOnWhatDoesNotValidate(t *testing.T) {
	defer func() {
		err, _ := recover().(error)
		if !slices.Equal(faults(err), []string{"ResetAfter"}) {
			t.Errorf("panicked with %v", err)
		}
	}()
	New(Config{ResetAfter: -1})
}

func TestDocumentedDefaultsAreTheRealOnes(t *testing.T) {
	src, err := os.ReadFile("config.go")
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, m := range regexp.MustCompile(`Default ([0-9a-z]+(?:\.[0-9]+)?)[.,]`).FindAllSubmatch(src, -1) {
		got = append(got, string(m[1]))
	}
	if want := []string{DefaultBase.String(), "2", DefaultMax.String(), DefaultResetAfter.String(), "0.2"}; !slices.Equal(got, want) {
		t.Errorf("the comments say %q, the code %q", got, want)
	}
	want := Config{Base: DefaultBase, Factor: 2, Max: DefaultMax, ResetAfter: DefaultResetAfter, Jitter: 0.2}
	if d := (Config{}).withDefaults(); d != want {
		t.Errorf("defaults are %+v", d)
	}
	if d := (Config{Base: time.Hour}).withDefaults(); d.Max != time.Hour {
		t.Errorf("with a base of an hour the maximum is %v", d.Max)
	}
}
