package budget

import (
	"errors"
	"os"
	"regexp"
	"slices"
	"strconv"
	"testing"

	"github.com/bulwark-go/bulwark/patterns"
)

func TestValidate(t *testing.T) {
	for _, tt := range []struct {
		name string
		cfg  Config
		want []string // fields at fault
	}{
		{"the zero value is valid", Config{}, nil},
		{"the smallest values are valid", Config{Burst: 1, Every: 1}, nil},
		{"the largest values are valid", Config{Burst: MaxBurst, Every: MaxEvery}, nil},
		{"every fault is named at once", Config{Burst: -1, Every: -1}, []string{"Burst", "Every"}},
		{"one more than the most is not valid", Config{Burst: MaxBurst + 1, Every: MaxEvery + 1}, []string{"Burst", "Every"}},
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
		if fault, ok := errors.AsType[*patterns.ConfigError](e); ok && fault.Pattern == "budget" {
			fields = append(fields, fault.Field)
		}
	}
	return fields
}

func TestNewPanicsOnWhatDoesNotValidate(t *testing.T) {
	defer func() {
		err, _ := recover().(error)
		if !slices.Equal(faults(err), []string{"Every"}) {
			t.Errorf("panicked with %v", err)
		}
	}()
	New(Config{Every: -1})
}

func TestDocumentedDefaultsAreTheRealOnes(t *testing.T) {
	src, err := os.ReadFile("config.go")
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, m := range regexp.MustCompile(`Default\s+(?://\s+)?([0-9a-z]+)\.`).FindAllSubmatch(src, -1) {
		got = append(got, string(m[1]))
	}
	if want := []string{strconv.Itoa(DefaultBurst), DefaultEvery.String()}; !slices.Equal(got, want) {
		t.Errorf("the comments say %q, the code %q", got, want)
	}
	if d := (Config{}).withDefaults(); d != (Config{Burst: DefaultBurst, Every: DefaultEvery}) {
		t.Errorf("defaults are %+v", d)
	}
}
