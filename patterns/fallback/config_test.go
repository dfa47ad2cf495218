package fallback

import (
	"context"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/bulwark-go/bulwark/patterns"
	"github.com/bulwark-go/bulwark/patterns/internal/configtest"
)

var seven = Chain(Value(7))

func TestInvalidConfigsNameTheField(t *testing.T) {
	configtest.Invalid(t, []configtest.Row[Config[int]]{
		{"nothing to fall back on", Config[int]{}, "Steps"},
		{"an empty chain", Config[int]{Steps: Chain[int]()}, "Steps"},
		{"a chain that is too long", Config[int]{Steps: Chain(make([]Step[int], MaxSteps+1)...)}, "Steps"},
		{"a step without a function", Config[int]{Steps: Chain(Value(7), Func[int](nil))}, "Steps"},
		{"the zero step", Config[int]{Steps: Chain(Step[int]{})}, "Steps"},
		{"a negative age", Config[int]{Steps: seven, LastGood: -1}, "LastGood"},
		{"a tiny age", Config[int]{LastGood: time.Millisecond - 1}, "LastGood"},
		{"a huge age", Config[int]{LastGood: 720*time.Hour + 1}, "LastGood"},
		{"stale as soon as it is old", Config[int]{LastGood: time.Hour, StaleFor: time.Hour}, "StaleFor"},
		{"stale for too long", Config[int]{LastGood: time.Hour, StaleFor: 721 * time.Hour}, "StaleFor"},
		{"stale without LastGood", Config[int]{Steps: seven, StaleFor: time.Hour}, "StaleFor"},
		{"fewer keys than none", Config[int]{LastGood: time.Hour, MaxKeys: -1}, "MaxKeys"},
		{"too many keys", Config[int]{LastGood: time.Hour, MaxKeys: maxKeys + 1}, "MaxKeys"},
		{"keys without LastGood", Config[int]{Steps: seven, MaxKeys: 1}, "MaxKeys"},
		{"an unknown fail policy", Config[int]{Steps: seven, OnFailure: 99}, "OnFailure"},
	}, "KeepRejections")
	err := Config[int]{StaleFor: 1, MaxKeys: -1, OnFailure: 7}.Validate()
	if got := configtest.Faulty(err); !slices.Equal(got, []string{"Steps", "StaleFor", "MaxKeys", "OnFailure"}) {
		t.Errorf("faults in %v", got)
	}
	if want := "fallback: Steps none: there is nothing to fall back on"; !strings.Contains(err.Error(), want) {
		t.Errorf("error does not read well: %v", err)
	}
	err = Config[int]{Steps: Chain(Value(7), Func[int](nil).Named("x"))}.Validate()
	if want := "fallback: Steps value, x: step 2 has no function"; !strings.Contains(err.Error(), want) {
		t.Errorf("error does not read well: %v", err)
	}
}

func TestTheLimitsOfARangeAreInIt(t *testing.T) {
	many := make([]Step[int], MaxSteps)
	for i := range many {
		many[i] = Func(func(context.Context, error) (int, error) { return i, nil })
	}
	for _, c := range []Config[int]{
		{Steps: seven},
		{Steps: Chain(many...), KeepRejections: true, OnFailure: patterns.FailClosed},
		{LastGood: minAge, StaleFor: minAge + 1, MaxKeys: 1},
		{LastGood: maxAge, MaxKeys: maxKeys},
		{LastGood: maxAge - 1, StaleFor: maxAge},
	} {
		if err := c.Validate(); err != nil {
			t.Error(err)
		}
		if once := c.withDefaults(); once != once.withDefaults() || once.Validate() != nil {
			t.Errorf("defaults are not stable: %+v", once)
		}
	}
}

func TestNobodyRunsAnInvalidConfig(t *testing.T) {
	configtest.NobodyRuns(t, map[string]func(){
		"NewMachine":  func() { newTestMachine(Config[int]{}) },
		"Reconfigure": func() { newTestMachine(Config[int]{Steps: seven}).Reconfigure(0, Config[int]{}) },
	})
}

func TestDocumentedDefaultsAreTheDefaults(t *testing.T) {
	configtest.Defaults(t, 0, Config[int]{}.withDefaults())
}

func TestLastGoodValuesAreKeptOfAThousandKeys(t *testing.T) {
	if c := (Config[int]{LastGood: time.Hour}).withDefaults(); c.MaxKeys != 1024 {
		t.Errorf("%d", c.MaxKeys)
	}
}

func TestAChainDoesNotChange(t *testing.T) {
	steps := []Step[int]{Value(1), Value(2)}
	c := Chain(steps...)
	steps[0] = Step[int]{}
	if c.fault() != "" {
		t.Error("it changed")
	}
	base := Value(1).On(errOther)
	_, _ = base.On(errOwn), base.On(errThird)
	if base.isFor(errOwn) || base.isFor(errThird) || !base.isFor(errOther) {
		t.Error("a step changed")
	}
}
