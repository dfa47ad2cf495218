package intensity

import (
	"errors"
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
		{"never is valid", Config{Restarts: Never}, nil},
		{"the largest values are valid", Config{Restarts: MaxRestarts, Period: MaxPeriod}, nil},
		{"one in a nanosecond is valid", Config{Restarts: 1, Period: 1}, nil},
		{"unlimited is valid", Config{Restarts: Unlimited}, nil},
		{"other negative counts are not", Config{Restarts: -3}, []string{"Restarts"}},
		{"one more than the most is not", Config{Restarts: MaxRestarts + 1}, []string{"Restarts"}},
		{"a negative period is not", Config{Period: -1}, []string{"Period"}},
		{"a period beyond the longest is not", Config{Period: MaxPeriod + 1}, []string{"Period"}},
		{"a negative resolution is not", Config{Resolution: -1}, []string{"Resolution"}},
		{"a period must be whole steps", Config{Period: 1500 * time.Millisecond, Resolution: time.Second}, []string{"Period"}},
		{"the default period must be whole steps too", Config{Resolution: 3 * time.Second}, []string{"Period"}},
		{"every fault is named at once", Config{Restarts: -9, Period: -9, Resolution: -9}, []string{"Restarts", "Period", "Resolution"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got := faults(tt.cfg.Validate())
			if !slices.Equal(got, tt.want) {
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
	err := Config{Restarts: -3}.Validate()
	if want := "intensity: Restarts -3: must be 1 to 65536, Never or Unlimited"; err.Error() != want {
		t.Errorf("got %q, want %q", err, want)
	}
}

func TestNewPanicsOnWhatDoesNotValidate(t *testing.T) {
	defer func() {
		err, _ := recover().(error)
		if !slices.Equal(faults(err), []string{"Period"}) {
			t.Errorf("panicked with %v", err)
		}
	}()
	New(Config{Period: -1})
}

func TestDocumentedDefaultsAreTheRealOnes(t *testing.T) {
	src, err := os.ReadFile("config.go")
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, m := range regexp.MustCompile(`Default ([0-9a-z]+)\.\n`).FindAllSubmatch(src, -1) {
		got = append(got, string(m[1]))
	}
	if want := []string{"10", DefaultPeriod.String(), "1ns"}; !slices.Equal(got, want) {
		t.Errorf("the comments say %q, the code %q", got, want)
	}
	if d := (Config{}).withDefaults(); d != (Config{Restarts: 10, Period: DefaultPeriod, Resolution: 1}) {
		t.Errorf("defaults are %+v", d)
	}
}
