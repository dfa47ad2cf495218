package ratelimiter

import (
	"math"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/bulwark-go/bulwark/patterns"
	"github.com/bulwark-go/bulwark/patterns/internal/configtest"
)

func TestValidConfigs(t *testing.T) {
	tests := map[string]Config{
		"a rate":                     {Rate: MustParse("10/second")},
		"the defaults spelled out":   Config{Rate: MustParse("10/second")}.withDefaults(),
		"tiers":                      {Tiers: MustParseTiers("1/s, 2/m, 3/h, 4/d")},
		"the highest rate":           {Rate: Rate{maxCount, maxCount / 1e6 * time.Millisecond, maxCount}},
		"the lowest rate":            {Rate: Rate{1, maxPer, 100}},
		"the slowest burst":          {Rate: Rate{1, maxPer, maxFill / int64(maxPer)}},
		"the most keys and overflow": {Rate: MustParse("10/second"), MaxKeys: maxKeys},
		"no keys":                    {Rate: MustParse("10/second"), MaxKeys: NoKeys},
		"keys that wait":             {Rate: MustParse("10/second"), MaxKeys: 1, MaxWaiting: 1},
		"waiting":                    {Rate: MustParse("10/second"), MaxWaiting: maxWaiting, MaxWait: math.MaxInt64},
		"the slowest warm-up":        {Rate: MustParse("10/second"), Algorithm: WarmUp, WarmUpFor: maxPer, ColdFactor: maxColdFactor},
		"the fastest warm-up":        {Rate: MustParse("10/second"), Algorithm: WarmUp, WarmUpFor: 1, ColdFactor: 1},
		"the longest log":            {Rate: MustParse("10000/second"), Algorithm: SlidingLog, MaxKeys: 100_000},
		"leased and closed":          {Rate: MustParse("10/second"), Mode: patterns.Leased(0, 0), OnFailure: patterns.FailClosed},
		"sliding window":             {Rate: MustParse("1000000000000/day"), Algorithm: SlidingWindow},
		"fixed window":               {Rate: MustParse("1000000000000/day"), Algorithm: FixedWindow},
		"smooth":                     {Rate: MustParse("10/second"), Algorithm: Smooth},
	}
	for name, c := range tests {
		t.Run(name, func(t *testing.T) {
			if err := c.Validate(); err != nil {
				t.Fatal(err)
			}
			m := newTestMachine(c)
			if d := m.Acquire(0, 1, &patterns.Request{}); d.Verdict != patterns.Grant {
				t.Errorf("the first request: %v", d)
			}
			if err := m.Check(); err != nil {
				t.Error(err)
			}
		})
	}
}

func TestInvalidConfigsNameTheField(t *testing.T) {
	ok := MustParse("10/second")
	nan, inf := math.NaN(), math.Inf(1)
	configtest.Invalid(t, []configtest.Row[Config]{
		{"no rate", Config{}, "Rate"},
		{"a rate of nothing", Config{Rate: Rate{Per: sec}}, "Rate"},
		{"a negative rate", Config{Rate: Rate{Count: -1, Per: sec}}, "Rate"},
		{"a rate in no time", Config{Rate: Rate{Count: 1}}, "Rate"},
		{"a burst of windows", Config{Rate: Rate{10, sec, 20}, Algorithm: FixedWindow}, "Rate"},
		{"a burst of something smooth", Config{Rate: Rate{10, sec, 1}, Algorithm: Smooth}, "Rate"},
		{"a log too long", Config{Rate: MustParse("10001/second"), Algorithm: SlidingLog}, "Rate"},
		{"a rate and tiers", Config{Rate: ok, Tiers: Several(ok)}, "Tiers"},
		{"a bad tier", Config{Tiers: Several(ok, Rate{Count: -1, Per: sec})}, "Tiers"},
		{"a gap in the tiers", Config{Tiers: Tiers{ok, {}, ok}}, "Tiers"},
		{"too many tiers", Config{Tiers: Several(ok, ok, ok, ok, ok)}, "Tiers"},
		{"unknown algorithm", Config{Rate: ok, Algorithm: algorithms}, "Algorithm"},
		{"negative warm-up", Config{Rate: ok, Algorithm: WarmUp, WarmUpFor: -1}, "WarmUpFor"},
		{"warm-up too long", Config{Rate: ok, Algorithm: WarmUp, WarmUpFor: maxPer + 1}, "WarmUpFor"},
		{"warm-up without a time", Config{Rate: ok, Algorithm: WarmUp}, "WarmUpFor"},
		{"a time to warm up for what does not", Config{Rate: ok, WarmUpFor: sec}, "WarmUpFor"},
		{"cold factor below 1", Config{Rate: ok, ColdFactor: 0.9}, "ColdFactor"},
		{"cold factor above 1000", Config{Rate: ok, ColdFactor: 1001}, "ColdFactor"},
		{"NaN cold factor", Config{Rate: ok, ColdFactor: nan}, "ColdFactor"},
		{"infinite cold factor", Config{Rate: ok, ColdFactor: inf}, "ColdFactor"},
		{"negative keys", Config{Rate: ok, MaxKeys: NoKeys - 1}, "MaxKeys"},
		{"too many keys", Config{Rate: ok, MaxKeys: maxKeys + 1}, "MaxKeys"},
		{"keys that would take too much", Config{Rate: MustParse("10000/second"), Algorithm: SlidingLog, MaxKeys: 110_000}, "MaxKeys"},
		{"negative waiting", Config{Rate: ok, MaxWaiting: -1}, "MaxWaiting"},
		{"too many waiting", Config{Rate: ok, MaxWaiting: maxWaiting + 1}, "MaxWaiting"},
		{"negative wait", Config{Rate: ok, MaxWaiting: 1, MaxWait: -1}, "MaxWait"},
		{"a wait where nobody waits", Config{Rate: ok, MaxWait: 1}, "MaxWait"},
		{"negative lease", Config{Rate: ok, Mode: patterns.Leased(-1, 0)}, "Mode"},
		{"unknown fail policy", Config{Rate: ok, OnFailure: 99}, "OnFailure"},
	})
}

func TestEveryFaultIsNamedAtOnce(t *testing.T) {
	err := Config{Tiers: Tiers{{Count: -1}, {Count: 1}}, ColdFactor: math.NaN(), MaxKeys: -2, MaxWaiting: -1, OnFailure: 9}.Validate()
	want := []string{"Tiers", "Tiers", "ColdFactor", "MaxKeys", "MaxWaiting", "OnFailure"}
	if got := configtest.Faulty(err); !slices.Equal(got, want) {
		t.Errorf("faults in %v, want %v", got, want)
	}
	if !strings.Contains(err.Error(), "ratelimiter: Tiers -1/0s: the count must be at least 1") {
		t.Errorf("error does not read well: %v", err)
	}
}

func TestNewMachinePanicsIfNobodyValidated(t *testing.T) {
	configtest.NobodyRuns(t, map[string]func(){
		"NewMachine":  func() { newTestMachine(Config{}) },
		"Reconfigure": func() { newTestMachine(per(1, sec)).Reconfigure(0, Config{}) },
	})
}

func TestTheDefaultNumberOfKeysTakesLittleMemory(t *testing.T) {
	for name, tt := range map[string]struct {
		cfg  Config
		want int
	}{
		"a bucket":   {per(1000, sec), 100_000},
		"two logs":   {Config{Tiers: Several(Rate{100, sec, 100}, Rate{1000, time.Hour, 1000}), Algorithm: SlidingLog}, 30_338},
		"a long log": {Config{Rate: MustParse("10000/second"), Algorithm: SlidingLog}, 3354},
	} {
		if got := tt.cfg.withDefaults().MaxKeys; got != tt.want || tt.cfg.Validate() != nil {
			t.Errorf("%s: %d keys, want %d", name, got, tt.want)
		}
	}
}

func TestDefaultsAreIdempotent(t *testing.T) {
	for _, c := range []Config{{}, {Rate: Rate{Count: 1, Per: sec}}, {Tiers: Several(Rate{Count: 1, Per: sec})}} {
		if once := c.withDefaults(); once != once.withDefaults() {
			t.Errorf("%+v: %+v", once, once.withDefaults())
		}
	}
}

func TestDocumentedDefaultsAreTheDefaults(t *testing.T) {
	configtest.Defaults(t, 0, Config{}.withDefaults())
}

func TestNamesOfWhatIsNone(t *testing.T) {
	if got := algorithms.String() + states.String(); got != "algorithm(6)state(4)" {
		t.Error(got)
	}
}

func TestThePageSaysTheLimits(t *testing.T) {
	page, err := os.ReadFile("../../docs/patterns/ratelimiter.md")
	if err != nil {
		t.Fatal(err)
	}
	for text, is := range map[string]int{
		"16,777,216": maxKeys, "to 1,000,000;": maxWaiting, "65,536 of all": maxWaitingKeys, "Up to 10,000 keys": maxOverrides,
		"share 64 budgets": overflowShares, "up to 4 rates": MaxTiers, "From 32,768 keys": 2 * minShardKeys, "1 to 1000 times": maxColdFactor,
	} {
		numbers := regexp.MustCompile("[0-9][0-9,]*").FindAllString(text, -1)
		last := strings.ReplaceAll(numbers[len(numbers)-1], ",", "")
		if last != strconv.Itoa(is) || !strings.Contains(string(page), text) {
			t.Errorf("the page does not say %q, or it is %d", text, is)
		}
	}
}
