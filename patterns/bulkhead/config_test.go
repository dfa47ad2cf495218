package bulkhead

import (
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/bulwark-go/bulwark/patterns"
	"github.com/bulwark-go/bulwark/patterns/internal/configtest"
)

func TestValidConfigs(t *testing.T) {
	for name, c := range map[string]Config{
		"zero":                {},
		"one slot":            {MaxConcurrent: 1},
		"as many as may be":   {MaxConcurrent: maxConcurrent, MaxWaiting: maxWaiting, MaxWait: 1<<63 - 1},
		"partitions":          {MaxPartitions: maxPartitions},
		"a queue":             {MaxWaiting: 1},
		"queues":              {MaxWaiting: maxWaiting, MaxWait: 1, MaxPartitions: maxPartitions},
		"leased with a queue": {MaxWaiting: 1, MaxWait: 1, Mode: patterns.Leased(0, 0), OnFailure: patterns.FailClosed},
	} {
		if err := c.Validate(); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if once := c.withDefaults(); once != once.withDefaults() || once.Validate() != nil {
			t.Errorf("%s: defaults are not stable: %+v", name, once)
		}
	}
}

func TestInvalidConfigsNameTheField(t *testing.T) {
	configtest.Invalid(t, []configtest.Row[Config]{
		{"negative limit", Config{MaxConcurrent: -1}, "MaxConcurrent"},
		{"huge limit", Config{MaxConcurrent: math.MaxInt}, "MaxConcurrent"},
		{"negative queue", Config{MaxWaiting: -1}, "MaxWaiting"},
		{"huge queue", Config{MaxWaiting: maxWaiting + 1}, "MaxWaiting"},
		{"negative wait", Config{MaxWait: -1, MaxWaiting: 1}, "MaxWait"},
		{"a wait without a queue", Config{MaxWait: 1}, "MaxWait"},
		{"negative partitions", Config{MaxPartitions: -1}, "MaxPartitions"},
		{"huge partitions", Config{MaxPartitions: maxPartitions + 1}, "MaxPartitions"},
		{"negative lease", Config{Mode: patterns.Leased(-1, 0)}, "Mode"},
		{"unknown fail policy", Config{OnFailure: 99}, "OnFailure"},
	})
	all := Config{MaxConcurrent: -1, MaxWaiting: -9, MaxWait: -1, MaxPartitions: -1, OnFailure: 7}.Validate()
	if got := configtest.Faulty(all); !slices.Equal(got, []string{"MaxConcurrent", "MaxWaiting", "MaxWait", "MaxPartitions", "OnFailure"}) {
		t.Errorf("faults in %v", got)
	}
	if want := "bulkhead: MaxConcurrent -1: must be from 1 to 2147483647"; !strings.Contains(all.Error(), want) {
		t.Errorf("error does not read well: %v", all)
	}
}

func TestNobodyRunsAnInvalidConfig(t *testing.T) {
	configtest.NobodyRuns(t, map[string]func(){
		"NewMachine":  func() { newTestMachine(Config{MaxConcurrent: -1}) },
		"Reconfigure": func() { newTestMachine(Config{}).Reconfigure(0, Config{MaxConcurrent: -1}) },
	})
}

func TestDocumentedDefaultsAreTheDefaults(t *testing.T) {
	configtest.Defaults(t, 0, Config{}.withDefaults())
}
