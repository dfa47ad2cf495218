package retry

import (
	"errors"
	"math"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/bulwark-go/bulwark/patterns"
)

func faultyFields(err error) (fields []string) {
	joined, ok := err.(interface{ Unwrap() []error })
	if !ok {
		return nil
	}
	for _, e := range joined.Unwrap() {
		if c, ok := errors.AsType[*patterns.ConfigError](e); ok {
			fields = append(fields, c.Field)
		}
	}
	return fields
}

func TestInvalidConfigsNameTheField(t *testing.T) {
	tests := []struct {
		name  string
		cfg   Config
		field string
	}{
		{"negative attempts", Config{Attempts: -1}, "Attempts"},
		{"too many attempts", Config{Attempts: maxAttempts + 1}, "Attempts"},
		{"a backoff that shrinks", Config{Backoff: Exponential(sec, ms)}, "Backoff"},
		{"a negative time", Config{MaxElapsed: -1}, "MaxElapsed"},
		{"a negative hint", Config{MaxRetryAfter: -1}, "MaxRetryAfter"},
		{"an override of too many attempts", Config{Overrides: NewOverrides(For(Override{Attempts: maxAttempts + 1}, errBusy))}, "Overrides[0].Attempts"},
		{"one of a backoff that is none", Config{Overrides: NewOverrides(For(Override{}, errBusy), For(Override{Backoff: Constant(-1)}, errBusy))}, "Overrides[1].Backoff"},
		{"one for nothing", Config{Overrides: NewOverrides(Case{})}, "Overrides[0]"},
		{"too many of them", Config{Overrides: NewOverrides(slices.Repeat([]Case{For(Override{}, errBusy)}, MaxOverrides+1)...)}, "Overrides"},
		{"unknown fail policy", Config{OnFailure: 99}, "OnFailure"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := faultyFields(tt.cfg.Validate()); !slices.Equal(got, []string{tt.field}) {
				t.Errorf("faults in %v, want %s", got, tt.field)
			}
		})
	}
	for f := range reflect.TypeFor[Config]().Fields() {
		harmless := []string{"RetryRejected", "IgnoreRetryAfter", "Budget"}
		if !slices.Contains(harmless, f.Name) && !slices.ContainsFunc(tests, func(tt struct {
			name  string
			cfg   Config
			field string
		},
		) bool {
			return strings.HasPrefix(tt.field, f.Name)
		}) {
			t.Errorf("no row breaks %s", f.Name)
		}
	}
	if want := "retry: Attempts -1: must be from 1 to 1000"; Config.Validate(Config{Attempts: -1}).Error() != want {
		t.Errorf("error does not read well: %v", Config{Attempts: -1}.Validate())
	}
}

func TestInvalidBudgetConfigsNameTheField(t *testing.T) {
	for _, tt := range []struct {
		name  string
		cfg   BudgetConfig
		field string
	}{
		{"a negative ratio", BudgetConfig{Ratio: -0.1}, "Ratio"},
		{"more than all", BudgetConfig{Ratio: 1.01}, "Ratio"},
		{"NaN", BudgetConfig{Ratio: math.NaN()}, "Ratio"},
		{"a negative minimum", BudgetConfig{MinPerSecond: -2}, "MinPerSecond"},
		{"a huge one", BudgetConfig{MinPerSecond: maxPerSecond + 1}, "MinPerSecond"},
		{"a short window", BudgetConfig{Window: sec - 1}, "Window"},
		{"a long one", BudgetConfig{Window: maxWindow + 1}, "Window"},
		{"unknown fail policy", BudgetConfig{OnFailure: 99}, "OnFailure"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got := faultyFields(tt.cfg.Validate()); !slices.Equal(got, []string{tt.field}) {
				t.Errorf("faults in %v, want %s", got, tt.field)
			}
		})
	}
	if err := (BudgetConfig{Ratio: None, MinPerSecond: None, Window: maxWindow}).Validate(); err != nil {
		t.Error(err)
	}
}
