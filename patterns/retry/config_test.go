package retry

import (
	"math"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/bulwark-go/bulwark/patterns/internal/configtest"
)

func TestInvalidConfigsNameTheField(t *testing.T) {
	configtest.Invalid(t, []configtest.Row[Config]{
		{"negative attempts", Config{Attempts: -1}, "Attempts"},
		{"too many attempts", Config{Attempts: maxAttempts + 1}, "Attempts"},
		{"a backoff that shrinks", Config{Backoff: Exponential(sec, ms)}, "Backoff"},
		{"a negative time", Config{MaxElapsed: -1}, "MaxElapsed"},
		{"a negative hint", Config{MaxRetryAfter: -1}, "MaxRetryAfter"},
		{"too many overrides", Config{Overrides: NewOverrides(slices.Repeat([]Case{For(Override{}, errBusy)}, MaxOverrides+1)...)}, "Overrides"},
		{"one of too many attempts", Config{Overrides: NewOverrides(For(Override{Attempts: maxAttempts + 1}, errBusy))}, "Overrides[0].Attempts"},
		{"one of a backoff that is none", Config{Overrides: NewOverrides(For(Override{}, errBusy), For(Override{Backoff: Constant(-1)}, errBusy))}, "Overrides[1].Backoff"},
		{"one for nothing", Config{Overrides: NewOverrides(Case{})}, "Overrides[0]"},
		{"unknown fail policy", Config{OnFailure: 99}, "OnFailure"},
	}, "RetryRejected", "IgnoreRetryAfter", "Budget")
	if want, err := "retry: Attempts -1: must be from 1 to 1000", (Config{Attempts: -1}).Validate(); err.Error() != want {
		t.Errorf("error does not read well: %v", err)
	}
}

func TestInvalidBudgetConfigsNameTheField(t *testing.T) {
	configtest.Invalid(t, []configtest.Row[BudgetConfig]{
		{"a negative ratio", BudgetConfig{Ratio: -0.1}, "Ratio"},
		{"more than all", BudgetConfig{Ratio: 1.01}, "Ratio"},
		{"NaN", BudgetConfig{Ratio: math.NaN()}, "Ratio"},
		{"a negative minimum", BudgetConfig{MinPerSecond: -2}, "MinPerSecond"},
		{"a huge one", BudgetConfig{MinPerSecond: maxPerSecond + 1}, "MinPerSecond"},
		{"a short window", BudgetConfig{Window: sec - 1}, "Window"},
		{"a long one", BudgetConfig{Window: maxWindow + 1}, "Window"},
		{"unknown fail policy", BudgetConfig{OnFailure: 99}, "OnFailure"},
	})
	if err := (BudgetConfig{Ratio: None, MinPerSecond: None, Window: maxWindow}).Validate(); err != nil {
		t.Error(err)
	}
}

func TestDefaultsAreAsTheCommentsAndThePageSay(t *testing.T) {
	c := Config{}.withDefaults()
	configtest.Defaults(t, 0, c, BudgetConfig{}.withDefaults())
	for _, file := range []string{"config.go", "../../docs/patterns/retry.md"} {
		text, err := os.ReadFile(file)
		if err != nil || !strings.Contains(strings.ReplaceAll(string(text), "\n\t//", ""), c.Backoff.String()) {
			t.Errorf("%s does not say %v; %v", file, c.Backoff, err)
		}
	}
	if c != c.withDefaults() {
		t.Error("defaults are not stable")
	}
}

func TestNobodyRunsAnInvalidConfig(t *testing.T) {
	bad, badBudget := Config{Attempts: -1}, BudgetConfig{Ratio: 2}
	configtest.NobodyRuns(t, map[string]func(){
		"NewMachine":              func() { NewMachine(Params{Config: bad}) },
		"Reconfigure":             func() { NewMachine(Params{}).Reconfigure(0, bad) },
		"NewBudgetMachine":        func() { NewBudgetMachine(BudgetParams{Config: badBudget}) },
		"BudgetMachine's changes": func() { NewBudgetMachine(BudgetParams{}).Reconfigure(0, badBudget) },
	})
}
