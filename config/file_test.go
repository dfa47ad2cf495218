package config

import (
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/bulwark-go/bulwark/patterns"
	"github.com/bulwark-go/bulwark/patterns/adaptive"
	"github.com/bulwark-go/bulwark/patterns/backpressure"
	"github.com/bulwark-go/bulwark/patterns/bulkhead"
	"github.com/bulwark-go/bulwark/patterns/circuitbreaker"
	"github.com/bulwark-go/bulwark/patterns/loadshedder"
	"github.com/bulwark-go/bulwark/patterns/outlier"
	"github.com/bulwark-go/bulwark/patterns/ratelimiter"
	"github.com/bulwark-go/bulwark/patterns/retry"
	"github.com/bulwark-go/bulwark/patterns/timeout"
)

// sections are some, with the Config that each is.
func sections() map[string]any {
	return map[string]any{
		"circuitbreaker: {}": circuitbreaker.Config{},
		"circuitbreaker: { failure_ratio: 0.5, window: 100, open_for: 30s }": circuitbreaker.Config{
			FailureRatio: 0.5, Window: circuitbreaker.Last(100), OpenFor: 30 * time.Second,
		},
		"circuitbreaker: { window: 10s in 20 buckets, slow_ratio: 1, slow_call: 1s, failure_ratio: off, open_factor: 2 }": circuitbreaker.Config{
			Window: circuitbreaker.During(10 * time.Second).Buckets(20), SlowRatio: 1, SlowCall: time.Second, OpenFactor: 2,
		},
		"circuitbreaker: { open_schedule: [1s, 5s], mode: 'leased(8, 5ms)', on_failure: fail-closed }": circuitbreaker.Config{
			OpenSchedule: circuitbreaker.Schedule(func(n int) time.Duration { return []time.Duration{1, 5}[min(n, 2)-1] * time.Second }),
			Mode:         patterns.Leased(8, 5*time.Millisecond), OnFailure: patterns.FailClosed,
		},
		"outlier: { members: ['http://a:1', b], max_ejected: 1, eject_for: 5s }": outlier.Config{Members: outlier.List("http://a:1", "b"), MaxEjected: 1, EjectFor: 5 * time.Second},
		"ratelimiter: { rate: 100/minute, burst: 20 }":                           ratelimiter.Config{Rate: ratelimiter.MustParse("100/minute burst 20")},
		"ratelimiter: { rate: 100/minute burst 20, max_keys: none }":             ratelimiter.Config{Rate: ratelimiter.MustParse("100/minute burst 20"), MaxKeys: ratelimiter.NoKeys},
		"ratelimiter: { tiers: '10/s, 100/m', algorithm: sliding-log }":          ratelimiter.Config{Tiers: ratelimiter.MustParseTiers("10/s, 100/m"), Algorithm: ratelimiter.SlidingLog},
		"ratelimiter: { tiers: [10/s, 100/m], max_waiting: 0, burst: default }":  ratelimiter.Config{Tiers: ratelimiter.MustParseTiers("10/s, 100/m")},
		"loadshedder: { queue_delay: 'pie(15ms)', cpu: off, max_queue: none, newest_first: false, memory: 0.5, max_wait: off }": loadshedder.Config{
			QueueDelay: loadshedder.PIE(15 * time.Millisecond), CPU: loadshedder.Off, MaxQueue: loadshedder.NoQueue, Memory: 0.5, MaxWait: loadshedder.Off,
		},
		"backpressure: { max_pending: 1_000, low_water: drained, max_waiting: none }": backpressure.Config{
			MaxPending: 1000, LowWater: backpressure.Drained, MaxWaiting: backpressure.NoQueue,
		},
		"bulkhead: { max_concurrent: 0x10, max_waiting: 5, max_wait: 1.5s }": bulkhead.Config{MaxConcurrent: 16, MaxWaiting: 5, MaxWait: 1500 * time.Millisecond},
		"adaptive: { algorithm: vegas, fair: true, partitions: { gold: 0.5, silver: 0.25 } }": adaptive.Config{
			Algorithm: adaptive.Vegas{}, Fair: true, Partitions: adaptive.Guarantee(map[string]float64{"gold": 0.5, "silver": 0.25}),
		},
		"adaptive: { algorithm: { window: { of: { gradient2: { window: per-sample, freeze: never } }, min: 2s } }, max_waiting: 9, queue: codel }": adaptive.Config{
			Algorithm:  adaptive.Window{Of: adaptive.Gradient2{Window: adaptive.PerSample, Freeze: adaptive.NeverFreeze}, Min: 2 * time.Second},
			MaxWaiting: 9, Queue: adaptive.CoDel,
		},
		"adaptive: { max: default }": adaptive.Config{},
		"retry: { attempts: 5, backoff: { exponential: { base: 100ms, max: 5s, factor: 3, jitter: equal } }, retry_rejected: true }": retry.Config{
			Attempts: 5, Backoff: retry.Exponential(100*time.Millisecond, 5*time.Second).By(3).EqualJitter(), RetryRejected: true,
		},
		"retry: { backoff: { exponential: { base: 1s, max: 1m } } }":                retry.Config{Backoff: retry.Exponential(time.Second, time.Minute)},
		"retry: { backoff: { exponential: { base: 1s, max: 1m, jitter: exact } } }": retry.Config{Backoff: retry.Exponential(time.Second, time.Minute).Exact()},
		"retry: { backoff: { linear: { base: 1s, max: 1m, jitter: 0.25 } } }":       retry.Config{Backoff: retry.Linear(time.Second, time.Minute).Around(0.25)},
		"retry: { backoff: { constant: { wait: 0s } } }":                            retry.Config{Backoff: retry.Constant(0)},
		"retry: { backoff: { constant: { wait: 1s, jitter: full } } }":              retry.Config{Backoff: retry.Constant(time.Second).FullJitter()},
		"retry: { backoff: { decorrelated: { base: 1s, max: 1m } } }":               retry.Config{Backoff: retry.Decorrelated(time.Second, time.Minute)},
		"retrybudget: { ratio: 0.1, min_per_second: none }":                         retry.BudgetConfig{Ratio: 0.1, MinPerSecond: retry.None},
		"retry: { backoff: { smooth: { base: 1s, max: 1m } } }":                     retry.Config{Backoff: retry.Smooth(time.Second, time.Minute)},
		"timeout: { per_attempt: 300ms, abandon: true, max_abandoned: 5 }":          timeout.Config{PerAttempt: 300 * time.Millisecond, Abandon: true, MaxAbandoned: 5},
	}
}

func TestASectionIsThePatternsConfig(t *testing.T) {
	for section, want := range sections() {
		f := mustParse(t, "guards: { x: { "+section+" } }")
		if got := configOf(t, f, "x"); !reflect.DeepEqual(got, want) {
			t.Errorf("%s\nis read as\n%+v\nwant\n%+v", section, got, want)
		}
	}
}

func TestYAMLInBlocksAndJSONAreTheSame(t *testing.T) {
	want := mustParse(t, "guards: { a: { bulkhead: { max_concurrent: 3 } } }\npipelines: { p: [ a ] }")
	for _, text := range []string{
		"# a comment\nguards:\n  a:\n    bulkhead:\n      max_concurrent: 3 # three\npipelines:\n  p:\n  - a\n",
		"{\n\t\"$schema\": \"bulwark.schema.json\",\n\t\"guards\": {\"a\": {\"bulkhead\": {\"max_concurrent\": 3}}},\n\t\"pipelines\": {\"p\": [\"a\"]}\n}\n",
	} {
		f := mustParse(t, text)
		if !reflect.DeepEqual(configOf(t, f, "a"), configOf(t, want, "a")) || !reflect.DeepEqual(maps.Collect(f.Pipelines()), maps.Collect(want.Pipelines())) {
			t.Errorf("%s\nis not the same", text)
		}
	}
}

// Each text has all the faults that are named, and no others.
func TestEveryFaultIsNamedWhereItIs(t *testing.T) {
	const g = "guards:\n  a: { bulkhead: {} }\n"
	for _, tt := range []struct {
		name, text string
		want       []string
	}{
		{"an empty file", "", []string{"f: is empty"}},
		{"a comment alone", "# nothing\n", []string{"f: is empty"}},
		{"a value alone", "guards", []string{"f:1:1: is a value, not a mapping with guards and pipelines"}},
		{"no YAML", "guards:\n  a: [\n", []string{"f:2: is no YAML: did not find expected node content"}},
		{"two documents", g + "---\n" + g, []string{"f:3:1: a second document: one file is one document"}},
		{"no guards", "pipelines: {}", []string{"f:1:1: guards: must be a mapping of at least one guard's name to its pattern"}},
		{"an unknown key at the top", g + "guard: {}\n", []string{"f:3:1: guard: unknown key (allowed: guards, pipelines)"}},
		{"a name twice", g + "  a: { bulkhead: {} }\n", []string{"f:3:3: guards.a: is there twice, first at f:2:3"}},
		{"a key twice", "guards:\n  a: { bulkhead: { max_waiting: 1, max_waiting: 2 } }\n", []string{"f:2:36: guards.a.bulkhead.max_waiting: is there twice, first at f:2:20"}},
		{"no name", "guards:\n  a b: { bulkhead: {} }\n  -c: { bulkhead: {} }\n", []string{
			"f:2:3: guards.a b: a name is 1 to 128 letters, digits, _, - and ., and begins with a letter or digit",
			"f:3:3: guards.-c: a name is 1 to 128 letters, digits, _, - and ., and begins with a letter or digit",
		}},
		{"an unknown pattern", "guards:\n  a: { bulkhed: {} }\n", []string{
			"f:2:8: guards.a.bulkhed: unknown pattern (allowed: " + strings.Join(newCatalog().kindNames(), ", ") + ")",
		}},
		{"two patterns", "guards:\n  a: { bulkhead: {}, adaptive: {} }\n", []string{
			"f:2:6: guards.a: must be a mapping of one pattern to its settings (allowed: " + strings.Join(newCatalog().kindNames(), ", ") + ")",
		}},
		{"no settings", "guards:\n  a: { bulkhead: }\n", []string{"f:2:18: guards.a.bulkhead: is nothing, not a mapping of settings; {} stands for the defaults"}},
		{"an unknown key", "guards:\n  a:\n    bulkhead:\n      max_wating: 3\n", []string{
			"f:4:7: guards.a.bulkhead.max_wating: unknown key, is max_waiting meant? (allowed: max_concurrent, max_partitions, max_wait, max_waiting, mode, on_failure)",
		}},
		{"values of the wrong type", "guards:\n  a:\n    circuitbreaker:\n      failure_ratio: half\n      probes: 2.5\n      open_for: 30\n      window: [1]\n      mode: fast\n      min_samples: ~\n      open_schedule: 1s\n", []string{
			`f:4:22: guards.a.circuitbreaker.failure_ratio: "half" is not a number, or off`,
			`f:5:15: guards.a.circuitbreaker.probes: "2.5" is not a whole number`,
			`f:6:17: guards.a.circuitbreaker.open_for: "30" is not a time with its unit, such as 30s or 1m30s`,
			`f:7:15: guards.a.circuitbreaker.window: is a list, not a text`,
			`f:8:13: guards.a.circuitbreaker.mode: "fast" is not strict, leased, or leased(64, 100ms)`,
			`f:9:20: guards.a.circuitbreaker.min_samples: has no value; default stands for the default`,
			`f:10:22: guards.a.circuitbreaker.open_schedule: must be a list of at least one`,
		}},
		{"a boolean of YAML 1.1", "guards:\n  a: { adaptive: { fair: yes } }\n", []string{`f:2:26: guards.a.adaptive.fair: "yes" is not true or false`}},
		{"what numbers may not be", "guards:\n  a:\n    loadshedder:\n      max_queue: -1\n      cpu: .nan\n      gc: .inf\n      max_in_flight: 99999999999999999999\n      max_wait: 0s\n      floor: 0\n", []string{
			`f:4:18: guards.a.loadshedder.max_queue: must not be negative; none or default may be written in place of a number`,
			`f:5:12: guards.a.loadshedder.cpu: ".nan" is not a number, or off`,
			`f:6:11: guards.a.loadshedder.gc: ".inf" is not a number, or off`,
			`f:7:22: guards.a.loadshedder.max_in_flight: "99999999999999999999" is not a whole number`,
			`f:8:17: guards.a.loadshedder.max_wait: must not be 0; off or default may be written in place of a number`,
			`f:9:14: guards.a.loadshedder.floor: must not be 0; off or default may be written in place of a number`,
		}},
		{"what the pattern does not take", "guards:\n  a:\n    circuitbreaker:\n      failure_ratio: 1.5\n      open_for: 1m\n      max_open_for: 30s\n      slow_ratio: 0.5\n", []string{
			"f:3:5: guards.a.circuitbreaker.slow_call: must be set, because slow_ratio is",
			"f:4:22: guards.a.circuitbreaker.failure_ratio: 1.5 must be in (0, 1]",
			"f:6:21: guards.a.circuitbreaker.max_open_for: 30s must not be below open_for, 1m0s",
		}},
		{"what follows from what was not read is none", "guards:\n  a: { bulkhead: { max_waiting: many, max_wait: 1s } }\n", []string{
			`f:2:33: guards.a.bulkhead.max_waiting: "many" is not a whole number, or none`,
		}},
		{"nor what follows from a key that is unknown", "guards:\n  a: { bulkhead: { max_wating: 5, max_wait: 1s } }\n", []string{
			"f:2:20: guards.a.bulkhead.max_wating: unknown key, is max_waiting meant? (allowed: max_concurrent, max_partitions, max_wait, max_waiting, mode, on_failure)",
		}},
		{"what is below a choice", "guards:\n  a: { adaptive: { algorithm: { aimd: { backoff: 2, windw: 3 } } } }\n  b: { adaptive: { algorithm: best } }\n  c: { adaptive: { algorithm: { aimd: { backoff: 2 } } } }\n", []string{
			"f:2:53: guards.a.adaptive.algorithm.aimd.windw: unknown key, is window meant? (allowed: backoff, failure_ratio, increase, per_flight, success_ratio, timeout, window)",
			`f:3:31: guards.b.adaptive.algorithm: "best" is none (allowed: knee, aimd, vegas, gradient, gradient2, window, or a mapping of one of them to its settings)`,
			"f:4:50: guards.c.adaptive.algorithm.aimd.backoff: 2 must be in (0, 1)",
		}},
		{"what is made of others", "guards:\n  a: { adaptive: { partitions: { gold: 1.5 } } }\n  b: { circuitbreaker: { open_schedule: [1s, soon] } }\n", []string{
			`f:2:32: guards.a.adaptive.partitions: {gold: 1.5} must be in (0, 1], also for "gold"`,
			"f:2:32: guards.a.adaptive.partitions: {gold: 1.5} is more than 1 in all",
			`f:3:41: guards.b.circuitbreaker.open_schedule: item 2: "soon" is not a time with its unit, such as 30s or 1m30s`,
		}},
		{"a burst in two places, and of no rate", "guards:\n  a: { ratelimiter: { rate: 1/s burst 5, burst: 6 } }\n  b: { ratelimiter: { tiers: 1/s, burst: 6 } }\n  c: { ratelimiter: {} }\n  d: { ratelimiter: { rate: fast } }\n", []string{
			"f:2:49: guards.a.ratelimiter.burst: 6 is in rate already",
			"f:3:42: guards.b.ratelimiter.burst: 6 needs rate: tiers have their bursts in their text",
			"f:4:8: guards.c.ratelimiter.rate: must be set, or tiers",
			`f:5:29: guards.d.ratelimiter.rate: ratelimiter: rate "fast": the count must be a whole number; a good one is "100/minute burst 20"`,
		}},
		{"what is wrong with a backoff", "guards:\n  a: { retry: { backoff: { exponential: { base: 1m, max: 1s } } } }\n  b: { retry: { backoff: { linear: { base: 1s, max: 1m, jitter: 2 } } } }\n  c: { retry: { backoff: smooth } }\n", []string{
			"f:2:26: guards.a.retry.backoff: {exponential: {base: 1m, max: 1s}} must not end below where it begins",
			`f:3:65: guards.b.retry.backoff.linear.jitter: "2" is not exact, full, equal, or a share above 0, up to 1`,
			"f:4:26: guards.c.retry.backoff: smooth must wait for more than 0, or be constant",
			"f:4:26: guards.c.retry.backoff: smooth must not end below where it begins",
		}},
		{"budgets that are none", "guards:\n  a: { retry: { budget: b } }\n  b: { bulkhead: {} }\n  c: { retry: { budget: d } }\n  e: { retrybudget: { ratio: 2 } }\npipelines:\n  p: [ b, e ]\n", []string{
			"f:2:25: guards.a.retry.budget: b is no retrybudget",
			"f:4:25: guards.c.retry.budget: d is no guard of this file",
			"f:5:30: guards.e.retrybudget.ratio: 2 must be above 0, up to 1, or none",
			"f:7:11: pipelines.p[1]: e is shared by retries, and no part of a pipeline",
		}},
		{"aliases", "guards:\n  a: &a { bulkhead: {} }\n  b: *a\n  c: { bulkhead: { <<: 1 } }\n", []string{
			"f:2:6: guards.a: has an anchor, &a: each value is written where it is used",
			"f:3:6: guards.b: is an alias, *a: each value is written where it is used",
			"f:3:6: guards.b: must be a mapping of one pattern to its settings (allowed: " + strings.Join(newCatalog().kindNames(), ", ") + ")",
			"f:4:20: guards.c.bulkhead: has a key that is no name",
		}},
		{"pipelines of what is not there", g + "pipelines:\n  p: [ a, b, [ c ] ]\n  q: []\n  a: [ a ]\n", []string{
			"f:4:11: pipelines.p[1]: b is no guard and no pipeline of this file (there are: a, a, p, q)",
			"f:4:14: pipelines.p[2]: [c] is no guard and no pipeline of this file (there are: a, a, p, q)",
			"f:5:6: pipelines.q: must be a list of at least one guard",
			"f:6:3: pipelines.a: is the name of a guard too, at f:2:3",
		}},
		{"pipelines of themselves", g + "pipelines:\n  p: [ p ]\n  q: [ a, r ]\n  r: [ q ]\n", []string{
			"f:4:8: pipelines.p[0]: pipeline p is a part of itself",
			"f:6:8: pipelines.r[0]: pipeline q is a part of itself",
		}},
		{"a guard twice in a pipeline", g + "pipelines:\n  p: [ a, a ]\n  q: [ r, a ]\n  r: [ a ]\n", []string{
			"f:4:6: pipelines.p: has the guard a twice", "f:5:6: pipelines.q: has the guard a twice",
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got := faultsOf(tt.text); !slices.Equal(got, tt.want) {
				t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(tt.want, "\n"))
			}
		})
	}
}

func TestFaultsAreBounded(t *testing.T) {
	var b strings.Builder
	b.WriteString("guards:\n")
	for i := range 1000 {
		fmt.Fprintf(&b, "  g%d: { bulkhead: { max_waiting: no } }\n", i)
	}
	got := faultsOf(b.String())
	if len(got) != maxFaults+1 || got[maxFaults] != "config: 900 more faults" {
		t.Errorf("%d lines, the last %q", len(got), got[len(got)-1])
	}
	if got := faultsOf(strings.Repeat("#", maxSize+1)); len(got) != 1 || got[0] != "f: has 1048577 bytes, more than 1048576" {
		t.Errorf("%q", got)
	}
	if got := faultsOf("guards: { a: { bulkhead: { max_waiting: " + strings.Repeat("x", 1000) + " } } }"); len(got) != 1 || len(got[0]) > 200 {
		t.Errorf("%q", got)
	}
}

func TestPipelinesMayBePartsOfOthers(t *testing.T) {
	f := mustParse(t, "guards: { a: { bulkhead: {} }, b: { bulkhead: {} } }\npipelines: { p: [ q, b ], q: [ a ] }")
	var laid []string
	for _, p := range f.pipelines {
		laid = append(laid, p.name)
	}
	if !slices.Equal(laid, []string{"q", "p"}) {
		t.Errorf("laid as %v", laid)
	}
	var names []string
	for name, parts := range f.Pipelines() {
		names = append(names, name+"="+strings.Join(parts, "+"))
	}
	if got := strings.Join(names, " "); got != "p=q+b q=a" {
		t.Error(got)
	}
}

func TestPipelinesOfPipelinesStaySmall(t *testing.T) {
	var b strings.Builder
	b.WriteString("guards:\n")
	for i := range 70 {
		fmt.Fprintf(&b, "  g%d: { bulkhead: {} }\n", i)
	}
	b.WriteString("pipelines:\n  p0: [ g0 ]\n")
	for i := range 60 { // twice as many each time
		fmt.Fprintf(&b, "  p%d: [ p%d, g%d, p%d ]\n", i+1, i, i+1, i)
	}
	got := faultsOf(b.String())
	if len(got) < 60 || len(got) > maxFaults+1 || !strings.HasSuffix(got[len(got)-1], "has more than 64 guards") {
		t.Errorf("%d: %q", len(got), got[len(got)-1])
	}
}

func TestALongChainOfPipelinesHasAnEnd(t *testing.T) {
	var b strings.Builder
	b.WriteString("guards: { g: { bulkhead: {} } }\npipelines:\n  p0: [ g ]\n")
	for i := range 5000 {
		fmt.Fprintf(&b, "  p%d: [ p%d ]\n", i+1, i)
	}
	if got := faultsOf(b.String()); got != nil {
		t.Errorf("%q", got)
	}
}

func TestALoadedFileIsCalledByItsName(t *testing.T) {
	path := filepath.Join(t.TempDir(), "shop.yaml")
	if err := os.WriteFile(path, []byte("guards: {}\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Load(path, Environ()); err == nil || !strings.HasPrefix(err.Error(), "shop.yaml:1:9: guards: must") {
		t.Errorf("%v", err)
	}
	if _, err := Load(path + ".not"); err == nil || !errors.Is(err, os.ErrNotExist) {
		t.Errorf("%v", err)
	}
}
