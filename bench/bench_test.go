package main

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"
)

// TestEveryCase runs the whole program for a few milliseconds each: every subject gets
// something done in every case, and the files say so.
func TestEveryCase(t *testing.T) {
	defer goleak.VerifyNone(t, goleak.IgnoreCurrent())
	dir := t.TempDir()
	var out, noise strings.Builder
	if err := run([]string{"-short", "-cases", "", "-rounds", "", "-out", dir}, &out, &noise); err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(noise.String()) {
		if strings.HasPrefix(line, "left out") {
			t.Error(line)
		}
	}
	rs := readResults(t, filepath.Join(dir, "latest.json"))
	for _, f := range families() {
		for _, c := range f.cases {
			for _, g := range c.goroutines {
				for _, s := range c.subjects {
					r, ok := rs.find(c.name, s.name, g)
					if !ok || r.OpsPerS <= 0 || r.NsPerOp <= 0 || len(r.Spread[nsPerOp].Rounds) != 1 {
						t.Errorf("%s, %s, %d goroutines: %+v", c.name, s.name, g, r)
					}
					if _, looped := c.how.(loop); looped && (r.P50 <= 0 || r.P50 > r.P999 || r.P999 > r.Max || r.MostCalls < r.FewestCalls) {
						t.Errorf("%s, %s, %d callers: %+v", c.name, s.name, g, r)
					}
				}
			}
			if !strings.Contains(out.String(), "## "+c.name) {
				t.Errorf("the page says nothing of %s", c.name)
			}
		}
		for _, b := range f.budgets {
			if v := b.check(rs); !v.measured {
				t.Errorf("a budget that no case measures: %+v", b)
			}
		}
		for _, fig := range f.figures {
			svg, err := os.ReadFile(filepath.Join(dir, fig.file))
			if err != nil || !strings.Contains(string(svg), "</svg>") {
				t.Errorf("%s: %v", fig.file, err)
			}
		}
	}
	page, err := os.ReadFile(filepath.Join(dir, "README.md"))
	if err != nil || !strings.Contains(out.String(), string(page)) {
		t.Errorf("what is printed is not the page: %v", err)
	}
}

func readResults(t *testing.T, file string) results {
	t.Helper()
	b, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var rs results
	if err := json.Unmarshal(b, &rs); err != nil {
		t.Fatal(err)
	}
	return rs
}

func TestResultsRoundTrip(t *testing.T) {
	want := results{
		newRow("a/b", "x", 64, []sample{
			{NsPerOp: 3, OpsPerS: 30, P99: 7, Max: 10, FewestCalls: 9, MostCalls: 10},
			{NsPerOp: 1, OpsPerS: 10, P99: 5, Max: 30, FewestCalls: 4, MostCalls: 20},
			{NsPerOp: 2, OpsPerS: 20, P99: 6, Max: 20, FewestCalls: 5, MostCalls: 9},
		}),
		newRow("a/c", "y", 1, []sample{{NsPerOp: 1}, {NsPerOp: 2}}),
	}
	file := filepath.Join(t.TempDir(), "latest.json")
	if err := want.write(file); err != nil {
		t.Fatal(err)
	}
	got := readResults(t, file)
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got  %+v\nwant %+v", got, want)
	}
	r := got[0]
	if r.NsPerOp != 2 || r.P99 != 6 || r.Max != 30 || r.FewestCalls != 4 || r.MostCalls != 20 || got[1].NsPerOp != 1.5 {
		t.Errorf("medians, the longest wait and the unfairest round are wrong: %+v", got)
	}
	b, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{
		"case", "subject", "goroutines", "ns_per_op", "allocs_per_op", "bytes_per_op", "ops_per_s", "p50_ns", "p99_ns", "p999_ns", "p9999_ns", "max_ns",
	} {
		if strings.Count(string(b), `"`+name+`":`) < len(want) {
			t.Errorf("not every object has %q", name)
		}
	}
}

func TestBudgets(t *testing.T) {
	rs := results{
		newRow("c", "ours", 1, []sample{{NsPerOp: 50, OpsPerS: 2, AllocsPerOp: 0.004}, {NsPerOp: 60, OpsPerS: 2, AllocsPerOp: 0.004}, {NsPerOp: 90, OpsPerS: 2}}),
		newRow("c", "rival", 1, []sample{{NsPerOp: 100, OpsPerS: 2, AllocsPerOp: 1}, {NsPerOp: 100, OpsPerS: 2, AllocsPerOp: 1}, {NsPerOp: 100, OpsPerS: 2}}),
	}
	ours, rival := point{"c", "ours", 1}, point{"c", "rival", 1}
	for _, tt := range []struct {
		name string
		budget
		want string
	}{
		{"in every round", budget{of: ours, to: rival, metric: nsPerOp, compare: ratio, is: atMost, limit: 0.95}, "held"},
		{"by the medians only", budget{of: ours, to: rival, metric: nsPerOp, compare: ratio, is: atMost, limit: 0.8}, "held, not in every round"},
		{"missed, at most", budget{of: ours, to: rival, metric: nsPerOp, compare: ratio, is: atMost, limit: 0.5}, "**missed by 20 %**"},
		{"missed, at least", budget{of: ours, to: rival, metric: opsPerS, compare: ratio, is: atLeast, limit: 1.25}, "**missed by 20 %**"},
		{"equal is at least", budget{of: ours, to: rival, metric: opsPerS, compare: ratio, is: atLeast, limit: 1}, "held"},
		{"equal is not above", budget{of: ours, to: rival, metric: opsPerS, compare: ratio, is: above, limit: 1}, "**missed by 0 %**"},
		{"difference", budget{of: rival, to: ours, metric: nsPerOp, compare: difference, is: atMost, limit: 30}, "**missed by 34 %**"},
		{"a stray allocation of the runtime", budget{of: ours, metric: allocsPerOp, is: atMost, limit: 0, round: 0.01}, "held"},
		{"one allocation", budget{of: rival, metric: allocsPerOp, is: atMost, limit: 0, round: 0.01}, "**missed by 1.00**"},
		{"without the case", budget{of: point{"c", "ours", 2}, metric: nsPerOp, is: atMost, limit: 1}, "not measured"},
		{"without the rival", budget{of: ours, to: point{"d", "rival", 1}, metric: nsPerOp, compare: ratio, is: atMost, limit: 1}, "not measured"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			v := tt.check(rs)
			if got := v.String(); got != tt.want {
				t.Errorf("%s: got %v, %s, want %s", v.describe(), v.got, got, tt.want)
			}
			_, missed := checkAll([]family{{budgets: []budget{tt.budget}}}, rs)
			if (missed == 1) != strings.Contains(tt.want, "missed") {
				t.Errorf("%d missed", missed)
			}
		})
	}
}

func TestWhatAMachineLacksIsLeftOutAndSaid(t *testing.T) {
	lacking := errors.New("install it")
	stopped := 0
	has := family{needs: func() (func() error, error) {
		return func() error { stopped++; return nil }, nil
	}}
	lacks := stub(true, 1)[0]
	lacks.needs = func() (func() error, error) { return nil, lacking }
	var noise strings.Builder
	ready, stop, err := equipped([]family{lacks, has, {}}, &noise)
	if len(ready) != 2 || err != nil || !strings.Contains(noise.String(), "install it") {
		t.Errorf("two of three are left: got %d, %v, %q", len(ready), err, noise.String())
	}
	if err := stop(); err != nil || stopped != 1 {
		t.Errorf("what was started is stopped: %d times, %v", stopped, err)
	}
	if _, _, err := equipped([]family{lacks}, io.Discard); !errors.Is(err, lacking) {
		t.Errorf("nothing is left: got %v", err)
	}
}

// stub is a family with one case, whose op ends as it should or not.
func stub(right bool, limit float64) []family {
	return []family{{
		cases: []benchCase{{
			name: "stub", baseline: "x", how: tight{}, goroutines: []int{1},
			subjects: []subject{{"x", func(settings) (*instance, error) {
				return &instance{op: func() bool { return right }, stop: func() {}}, nil
			}}},
		}},
		budgets: []budget{{of: point{"stub", "x", 1}, metric: nsPerOp, is: atMost, limit: limit}},
	}}
}

func TestStrictFailsIfABudgetIsMissed(t *testing.T) {
	s := settings{rounds: 1, tight: time.Millisecond}
	if err := bench(stub(true, 0), s, t.TempDir(), true, io.Discard, io.Discard); !errors.Is(err, errMissed) {
		t.Errorf("strict, missed: %v", err)
	}
	if err := bench(stub(true, 0), s, t.TempDir(), false, io.Discard, io.Discard); err != nil {
		t.Errorf("not strict: %v", err)
	}
	if err := bench(stub(true, 1e9), s, t.TempDir(), true, io.Discard, io.Discard); err != nil {
		t.Errorf("strict, held: %v", err)
	}
}

// Later rounds go by what the first one found out.
func TestEachRoundIsMeasuredAnew(t *testing.T) {
	dir, started := t.TempDir(), 0
	f := stub(true, 1e9)
	start := f[0].cases[0].subjects[0].start
	f[0].cases[0].subjects[0].start = func(s settings) (*instance, error) {
		started++
		return start(s)
	}
	s := settings{rounds: 3, tight: time.Millisecond}
	if err := bench(f, s, dir, true, io.Discard, io.Discard); err != nil {
		t.Fatal(err)
	}
	r, ok := readResults(t, filepath.Join(dir, "latest.json")).find("stub", "x", 1)
	if !ok || len(r.Spread[nsPerOp].Rounds) != 3 || started != 3 {
		t.Errorf("%d instances for %+v", started, r)
	}
}

func TestACallThatEndsWronglySpoilsTheRun(t *testing.T) {
	s := settings{rounds: 1, tight: time.Millisecond, loop: time.Millisecond, retained: 1}
	for _, how := range []method{tight{}, loop{}, retained{}} {
		f := stub(false, 1)
		f[0].cases[0].how = how
		if err := bench(f, s, t.TempDir(), false, io.Discard, io.Discard); !errors.Is(err, errWrong) {
			t.Errorf("%T: %v", how, err)
		}
	}
}

func TestArguments(t *testing.T) {
	for _, args := range [][]string{{"-cases", "("}, {"-cases", "nothing"}, {"-rounds", "0"}, {"-rounds", "x"}, {"x"}, {"-y"}} {
		if err := run(args, io.Discard, io.Discard); err == nil {
			t.Errorf("%q: no error", args)
		}
	}
	chosen := selected(families(), regexp.MustCompile("^breaker/(open|loop)$"))
	if len(chosen) != 1 || len(chosen[0].cases) != 2 {
		t.Errorf("selected %+v", chosen)
	}
}

// The floor is a whole breaker, or it would be no fair floor.
func TestFloor(t *testing.T) {
	ctx := context.Background()
	l := new(locked)
	for range openAfter - 1 {
		_, _ = l.do(ctx, fail)
	}
	if _, err := l.do(ctx, succeed); err != nil {
		t.Fatalf("before enough failures: %v", err)
	}
	func() {
		defer func() { _ = recover() }()
		_, _ = l.do(ctx, func(context.Context) (int, error) { panic("a failure too") })
	}()
	for range openAfter - 1 {
		_, _ = l.do(ctx, fail)
	}
	if _, err := l.do(ctx, succeed); !errors.Is(err, errPlainOpen) {
		t.Fatalf("after %d failures in a row: %v", openAfter, err)
	}
	l.b.openUntil = time.Now()
	for range probes {
		if l.b.state == plainClosed {
			t.Fatal("closed too early")
		}
		if _, err := l.do(ctx, succeed); err != nil {
			t.Fatalf("probe: %v", err)
		}
	}
	stale := l.b.generation - 1
	for range openAfter {
		l.b.report(stale, false)
	}
	if l.b.state != plainClosed {
		t.Fatal("stale reports counted")
	}
}

func TestKeysAreDistinctAndAllAreWalked(t *testing.T) {
	keys := makeKeys(1000)
	for what, next := range map[string]func() string{"one walker": keys.walk(), "another": keys.walk()} {
		seen := map[string]bool{}
		for range keys.len() {
			seen[next()] = true
		}
		if len(seen) != 1000 {
			t.Errorf("%s saw %d keys", what, len(seen))
		}
	}
	seen := map[string]bool{}
	for key := range keys.each {
		seen[key] = true
	}
	if len(seen) != 1000 || !seen[keys.first()] || len(keys.first()) != keyWidth {
		t.Errorf("%d keys, the first is %q", len(seen), keys.first())
	}
	if a, b := keys.walk()(), keys.walk()(); a == b {
		t.Errorf("two walkers begin with %q", a)
	}
}

// The floors are whole limiters, or they would be no fair floors.
func TestFloorOfLimiters(t *testing.T) {
	q := quota{count: 1, per: time.Hour, burst: 3}
	b := newBucket(q)
	k := &buckets{fullAt: map[string]time.Duration{}, born: time.Now(), rule: q.rule()}
	for name, allow := range map[string]func() bool{
		"bucket": b.allow, "key a": func() bool { return k.allow("a") }, "key b": func() bool { return k.allow("b") },
	} {
		for range q.burst {
			if !allow() {
				t.Errorf("%s refuses within its burst", name)
			}
		}
		if allow() {
			t.Errorf("%s lets through more than its burst", name)
		}
	}
	b.born = b.born.Add(-q.per)
	if !b.allow() || b.allow() {
		t.Error("not one permit came back in its time")
	}
	b.born = b.born.Add(-100 * q.per)
	for range q.burst {
		if !b.allow() {
			t.Fatal("a bucket does not fill up")
		}
	}
	if b.allow() {
		t.Error("a bucket holds more than its burst")
	}
}

// crossed reports whether a call under do got in, while those already in it are held.
func crossed(do func(context.Context, task) (int, error)) bool {
	v, err := do(context.Background(), succeed)
	return v == 1 && err == nil
}

// hold calls inner inside n nested calls under do.
func hold(do func(context.Context, task) (int, error), n int, inner func()) {
	if n == 0 {
		inner()
		return
	}
	_, _ = do(context.Background(), func(context.Context) (int, error) {
		hold(do, n-1, inner)
		return 1, nil
	})
}

func panicking(context.Context) (int, error) { panic("gives its place back") }

func TestFloorOfGates(t *testing.T) {
	v, a := &valve{gate: gate{limit: 9}, high: 3, low: 1}, &adapting{gate: gate{limit: 3}, least: 1, most: 4, slow: time.Hour}
	for _, tt := range []struct {
		name string
		do   func(context.Context, task) (int, error)
		in   *int
	}{
		{"gate", (&gate{limit: 3}).do, nil}, {"valve", v.do, &v.in}, {"adapting", a.do, &a.in},
	} {
		hold(tt.do, 2, func() {
			if !crossed(tt.do) {
				t.Errorf("%s: refused below its limit", tt.name)
			}
		})
		for range 3 {
			func() {
				defer func() { _ = recover() }()
				_, _ = tt.do(t.Context(), panicking)
			}()
		}
		if tt.in != nil && *tt.in != 0 {
			t.Errorf("%s: %d places lost", tt.name, *tt.in)
		}
		a.limit = 3
		hold(tt.do, 3, func() {
			if crossed(tt.do) {
				t.Errorf("%s: let through at its limit", tt.name)
			}
		})
	}
	if v.hot {
		t.Error("hot with nobody in")
	}
	hold(v.do, 2, func() {
		hold(v.do, 1, func() {})
		if crossed(v.do) {
			t.Error("a valve opened above its low mark")
		}
	})
	if !crossed(v.do) {
		t.Error("a valve stays shut")
	}
	a.limit = 3
	hold(a.do, 3, func() {})
	if a.limit != 4 {
		t.Errorf("the limit grew to %d", a.limit)
	}
	_, _ = a.do(t.Context(), fail)
	if a.limit != 3 {
		t.Errorf("the limit was cut to %d", a.limit)
	}
}

func TestNumbersAreShownForPeople(t *testing.T) {
	for _, tt := range []struct{ got, want string }{
		{number(1234567), "1,234,567"},
		{number(99.94), "99.9"},
		{number(1.234), "1.23"},
		{number(0.05), "0.050"},
		{number(25), "25.0"},
		{number(0), "0"},
		{count(-1000), "-1,000"},
		{nanos(81), "81 ns"},
		{nanos(4310), "4.31 µs"},
		{nanos(5e6), "5.00 ms"},
		{times(50, 100), "0.50×"},
		{times(50, 0), "–"},
	} {
		if tt.got != tt.want {
			t.Errorf("got %s, want %s", tt.got, tt.want)
		}
	}
}
