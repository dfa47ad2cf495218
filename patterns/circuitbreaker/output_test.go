package circuitbreaker

import (
	"context"
	"errors"
	"log/slog"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/bulwark-go/bulwark/patterns"
	"github.com/bulwark-go/bulwark/patterns/internal/eventqueue"
)

func at(d time.Duration) time.Time { return origin.Add(d) }

func TestEveryTransitionIsAnEvent(t *testing.T) {
	m := newTestMachine(trips)
	s := newScript(t, m)
	s.run("f +5s f +5s s force-open:1s +1s t reset")
	want := []patterns.Event{
		StateChanged{"b", Closed, Open, CauseConsecutiveFailures, 2, at(0), ""},
		StateChanged{"b", Open, HalfOpen, CauseOpenElapsed, 3, at(5 * sec), ""},
		StateChanged{"b", HalfOpen, Open, CauseProbeFailed, 4, at(5 * sec), ""},
		StateChanged{"b", Open, HalfOpen, CauseOpenElapsed, 5, at(10 * sec), ""},
		StateChanged{"b", HalfOpen, Closed, CauseProbesPassed, 6, at(10 * sec), ""},
		StateChanged{"b", Closed, ForcedOpen, CauseForced, 7, at(10 * sec), "note"},
		StateChanged{"b", ForcedOpen, Closed, CauseForcedElapsed, 8, at(11 * sec), ""},
		StateChanged{"b", Closed, Closed, CauseReset, 9, at(11 * sec), "note"},
	}
	got := drained(m)
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got  %+v\nwant %+v", got, want)
	}
	if more := drained(m); len(more) != 0 {
		t.Errorf("drained twice: %v", more)
	}
	kinds := map[string]func(patterns.Event) bool{"O": Opened, "P": Probing, "C": ClosedAgain, "R": WasReset}
	var read strings.Builder
	for _, e := range append(got, ConfigChanged{}) {
		for _, name := range []string{"O", "P", "C", "R"} {
			if kinds[name](e) {
				read.WriteString(name)
			}
		}
		read.WriteString(" ")
	}
	if read.String() != "O P O P C  C R  " {
		t.Errorf("predicates read %q", read.String())
	}
}

func TestOpeningsAndRepairsAreWarnings(t *testing.T) {
	tests := []struct {
		event patterns.Event
		want  slog.Level
	}{
		{StateChanged{From: Closed, To: Open}, slog.LevelWarn},
		{StateChanged{From: Closed, To: Closed, Cause: CauseRepaired}, slog.LevelWarn},
		{StateChanged{From: Open, To: HalfOpen}, slog.LevelInfo},
		{StateChanged{From: HalfOpen, To: Closed}, slog.LevelInfo},
		{StateChanged{From: Closed, To: ForcedOpen}, slog.LevelInfo},
		{ConfigChanged{}, slog.LevelInfo},
	}
	for _, tt := range tests {
		if got := tt.event.Level(); got != tt.want {
			t.Errorf("%+v is %v", tt.event, got)
		}
	}
}

func TestEventsAreLoggedAsGroups(t *testing.T) {
	var b strings.Builder
	log := slog.New(slog.NewTextHandler(&b, nil))
	for _, e := range []patterns.Event{
		StateChanged{"b", Closed, Open, CauseFailureRatio, 2, at(0), ""},
		StateChanged{"b", Open, ForcedOpen, CauseForced, 3, at(0), "4711"},
		ConfigChanged{"b", Config{Probes: 1}, Config{Probes: 2}, at(0)},
	} {
		if e.Source() != "b" {
			t.Errorf("source of %+v is %q", e, e.Source())
		}
		log.Log(context.Background(), e.Level(), "guard", "e", e)
	}
	for _, want := range []string{
		"e.event=state-changed e.guard=b e.from=closed e.to=open e.cause=failure-ratio e.epoch=2 e.at=2026-01-02T03:04:05.000Z\n",
		"e.to=forced-open e.cause=forced e.epoch=3 e.note=4711 e.at=2026-01-02T03:04:05.000Z\n",
		"e.from=", "Probes:2",
	} {
		if !strings.Contains(b.String(), want) {
			t.Errorf("no %q in\n%s", want, b.String())
		}
	}
}

func TestEventsNobodyDrainsAreDroppedOldestFirstAndCounted(t *testing.T) {
	m := newTestMachine(Config{})
	newScript(t, m).run("reset*20")
	if lost := m.Snapshot(0, patterns.Counts{}).EventsLost; lost != 20-eventqueue.Max {
		t.Errorf("lost %d", lost)
	}
	next := uint64(2 + 20 - eventqueue.Max)
	for e := range m.Drain() {
		if got := e.(StateChanged).Epoch; got != next {
			t.Fatalf("epoch %d, want %d", got, next)
		}
		next++
		if next == 10 {
			break // what was not yielded stays
		}
	}
	rest := drained(m)
	if len(rest) != 12 || rest[0].(StateChanged).Epoch != 10 || rest[11].(StateChanged).Epoch != 21 {
		t.Errorf("rest is %v", rest)
	}
}

func TestARefusalSaysItAll(t *testing.T) {
	m := newTestMachine(trips)
	newScript(t, m).run("f")
	err := m.Acquire(0, 9, nil).Err
	if !errors.Is(err, ErrOpen) || !errors.Is(err, patterns.ErrRejected) {
		t.Errorf("%v matches too little", err)
	}
	refusal, ok := errors.AsType[*OpenError](err)
	if !ok || *refusal != (OpenError{"b", Open, CauseConsecutiveFailures, at(5 * sec)}) {
		t.Errorf("got %+v", refusal)
	}
	if got, want := err.Error(), `circuit breaker "b" is open (consecutive-failures), retry at 2026-01-02T03:04:10Z`; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	if got, want := (&OpenError{Name: "b", State: ForcedOpen}).Error(), `circuit breaker "b" is forced-open`; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

func TestRetryAfterIsUntilRetryAt(t *testing.T) {
	tests := map[string]struct {
		retryAt     time.Time
		least, most time.Duration
	}{
		"unknown": {time.Time{}, 0, 0},
		"past":    {time.Now().Add(-time.Hour), 0, 0},
		"to come": {time.Now().Add(time.Hour), 30 * time.Minute, time.Hour},
	}
	for name, tt := range tests {
		if got, ok := patterns.RetryAfter(&OpenError{RetryAt: tt.retryAt}); !ok || got < tt.least || got > tt.most {
			t.Errorf("%s: %v, %v", name, got, ok)
		}
	}
}

func TestOneRefusalIsSharedUntilSomethingChanges(t *testing.T) {
	m := newTestMachine(with(trips, func(c *Config) { c.Probes, c.ConcurrentProbes = 2, 2 }))
	s := newScript(t, m)
	refusal := func() *OpenError {
		e, _ := errors.AsType[*OpenError](m.Acquire(s.now, 99, nil).Err)
		return e
	}
	s.run("f")
	first := refusal()
	if shared, until, ok := m.Refusal(); !ok || !errors.Is(shared, first) || until != patterns.Instant(5*sec) {
		t.Errorf("Refusal is %v until %v, %v", shared, until, ok)
	}
	s.run("+1s")
	if refusal() != first {
		t.Error("a new error for the same refusal")
	}
	s.run("+4s a1 +1s a2")
	oldest := refusal()
	s.run("i1 a3")
	if next := refusal(); oldest == first || next == oldest {
		t.Error("an old error for a new refusal")
	}
	s.run("force-open")
	if e := refusal(); e.State != ForcedOpen || e.Cause != CauseForced {
		t.Errorf("got %+v", e)
	}
}

func TestRefusalIsKnownInAdvanceOnlyWhileEveryCallIsRefused(t *testing.T) {
	const bounded = patterns.Instant(5 * sec)
	tests := map[string]struct {
		steps string
		until patterns.Instant
		ok    bool
	}{
		"closed":            {"", 0, false},
		"open":              {"f", bounded, true},
		"half-open":         {"f +5s a1", 0, false},
		"forced open":       {"force-open", patterns.Never, true},
		"forced open for 5": {"force-open:5s", bounded, true},
		"forced closed":     {"force-closed", 0, false},
		"metrics only":      {"metrics-only", 0, false},
		"ramping":           {"f +5s s x", 0, false},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			m := newTestMachine(with(trips, func(c *Config) { c.RampFor = sec }))
			newScript(t, m).run(tt.steps)
			err, until, ok := m.Refusal()
			if until != tt.until || ok != tt.ok || errors.Is(err, ErrOpen) != ok {
				t.Errorf("%v until %v, %v", err, until, ok)
			}
		})
	}
}

func TestTimeless(t *testing.T) {
	ratio := Config{FailureRatio: 0.5, Window: Last(9), MinSamples: 3}
	tests := []struct {
		name  string
		cfg   Config
		steps string
		want  bool
	}{
		{"closed, counting a run", Config{}, "f*3", true},
		{"closed, with a ratio and no failure yet", ratio, "s", true},
		{"closed, when a success may make up MinSamples", ratio, "f s", false},
		{"closed, with MinSamples", ratio, "f s*2", true},
		{"closed, with a window of time", Config{Window: During(sec)}, "", false},
		{"closed, with a slow rule", Config{SlowRatio: 0.5, SlowCall: sec}, "", false},
		{"closed, ramping", with(trips, func(c *Config) { c.RampFor = sec }), "f +5s s", false},
		{"closed, ramped up", with(trips, func(c *Config) { c.RampFor = sec }), "f +5s s +1s s", true},
		{"open", trips, "f", false},
		{"half-open", trips, "f +5s a1", false},
		{"forced open", trips, "force-open", true},
		{"forced open for a time", trips, "force-open:1s", false},
		{"forced closed", trips, "force-closed", true},
		{"forced closed for a time", trips, "force-closed:1s", false},
		{"metrics only", trips, "metrics-only", true},
		{"metrics only for a time", trips, "metrics-only:1s", false},
		{"metrics only, with a window of time", Config{Window: During(sec)}, "metrics-only", false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			m := newTestMachine(tt.cfg)
			newScript(t, m).run(tt.steps)
			if m.Timeless() != tt.want {
				t.Errorf("got %v", !tt.want)
			}
		})
	}
}

func TestMeasuredAndSlowAfterFollowSlowCall(t *testing.T) {
	if m := newTestMachine(Config{}); m.Measured() || m.SlowAfter() != 0 {
		t.Error("measured for nothing")
	}
	if m := newTestMachine(Config{SlowCall: sec}); !m.Measured() || m.SlowAfter() != sec {
		t.Error("not measured")
	}
}

func TestDirty(t *testing.T) {
	ratio := Config{FailureRatio: 1, Window: Last(9), MinSamples: 3}
	probes := with(trips, func(c *Config) { c.Probes, c.ConcurrentProbes = 3, 2 })
	tests := []struct {
		name   string
		cfg    Config
		before string
		step   string
		want   bool
	}{
		{"a counted success is not", Config{}, "s", "s", false},
		{"a counted failure is not", Config{}, "", "f", false},
		{"an opening is", trips, "", "f", true},
		{"a refusal is not", trips, "f", "x", false},
		{"going half-open is", trips, "f +5s", "a", true},
		{"a probe is, for its deadline", probes, "f +5s a1", "a", true},
		{"a refusal of a probe is not", probes, "f +5s a1 a2", "x", false},
		{"a probe's report is, for its slot", probes, "f +5s a1", "s1", true},
		{"a probe's release is, for its slot", probes, "f +5s a1", "r1", true},
		{"a release that is nothing is not", probes, "f +5s a1", "r9", false},
		{"a stale report is not", trips, "a1 f", "s1!", false},
		{"a lost probe is", trips, "f +5s a1 +3s", "t", true},
		{"a lost probe without a verdict is, for its slot", with(probes, func(c *Config) { c.ProbeFailureRatio = 1 }), "f +5s a1 +3s", "t", true},
		{"a tick for nothing is not", trips, "f +5s a1", "t", false},
		{"the first failure below MinSamples is, for Timeless", ratio, "s", "f", true},
		{"reaching MinSamples is, for Timeless", ratio, "s f", "s", true},
		{"past MinSamples nothing is", ratio, "s f s", "s", false},
		{"the end of a ramp is, for Timeless", with(trips, func(c *Config) { c.RampFor = sec }), "f +5s s +1s", "a", true},
		{"a refusal by a ramp is not", with(trips, func(c *Config) { c.RampFor = sec }), "f +5s s", "x", false},
		{"an operation is, at the next call", trips, "", "reset", true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			m := newTestMachine(tt.cfg)
			s := newScript(t, m)
			s.run(tt.before)
			m.flush()
			var dirty bool
			switch {
			case tt.step == "t":
				dirty = m.Tick(s.now)
			case tt.step == "a" || tt.step == "x":
				d := m.Acquire(s.now, 99, nil)
				dirty = d.Dirty
				if granted := d.Verdict == patterns.Grant; granted != (tt.step == "a") {
					t.Fatal(d)
				}
			case tt.step[0] == 'r' && tt.step != "reset":
				dirty = m.Release(s.now, s.permits[tt.step[1:]])
			case tt.step == "s" || tt.step == "f":
				o := map[string]patterns.Outcome{"s": patterns.Success, "f": patterns.Failure}[tt.step]
				_, dirty = m.Report(s.now, patterns.PermitID{Epoch: m.Epoch()}, o, 0)
			case tt.step == "reset":
				s.run("reset")
				dirty = m.Tick(s.now)
			default:
				_, dirty = m.Report(s.now, s.permits[strings.TrimSuffix(tt.step[1:], "!")], patterns.Success, 0)
			}
			if dirty != tt.want {
				t.Errorf("dirty is %v", dirty)
			}
			if m.Tick(s.now) {
				t.Error("dirty twice")
			}
		})
	}
}

func TestSnapshot(t *testing.T) {
	m := NewMachine(Params{Name: "b", Origin: origin, Now: patterns.Instant(sec), Config: Config{
		FailureRatio: 0.6, SlowRatio: 1, SlowCall: sec, MinSamples: 5, OpenFor: 5 * sec, Probes: 2,
	}})
	s := newScript(t, m)
	s.run("+1s")
	if got := s.snapshot(); got != (Snapshot{Name: "b", Epoch: 1, LastStateChange: at(sec)}) {
		t.Errorf("new: %+v", got)
	}
	s.run("+1s f +1s s S f")
	counts := patterns.Counts{Success: 6, Failure: 1, Dropped: 1, Ignored: 9}
	want := Snapshot{
		Name: "b", Epoch: 1, ConsecutiveFailures: 1, Calls: 4, Failures: 2, Slow: 1,
		LastFailure: at(3 * sec), LastStateChange: at(sec), InState: 2 * sec, Counts: counts,
	}
	got := m.Snapshot(s.now, counts)
	if got != want {
		t.Errorf("closed: %+v", got)
	}
	if got.FailureRatio() != 0.5 || got.SlowRatio() != 0.25 || got.TotalFailureRate() != 0.25 || got.SuccessRate() != 0.75 {
		t.Errorf("ratios %v %v %v %v", got.FailureRatio(), got.SlowRatio(), got.TotalFailureRate(), got.SuccessRate())
	}
	s.run("f +4999999999ns")
	want = Snapshot{
		Name: "b", State: Open, Cause: CauseFailureRatio, Epoch: 2, ConsecutiveFailures: 2, Opens: 1,
		LastFailure: at(3 * sec), SinceLastFailure: 5*sec - 1, LastStateChange: at(3 * sec), InState: 5*sec - 1, RetryAt: at(8 * sec),
	}
	if got := s.snapshot(); got != want {
		t.Errorf("open: %+v", got)
	}
	s.run("+1ns")
	if got := s.snapshot(); !got.Eligible || !got.RetryAt.Equal(at(8*sec)) {
		t.Errorf("eligible: %+v", got)
	}
	s.run("s a1")
	if got := s.snapshot(); got.State != HalfOpen || got.ProbesOut != 1 || got.ProbeResults != 1 || got.Eligible || !got.RetryAt.IsZero() || got.Opens != 1 {
		t.Errorf("half-open: %+v", got)
	}
	s.run("force-open:3s")
	if got := s.snapshot(); !got.RetryAt.Equal(at(11*sec)) || got.Eligible {
		t.Errorf("forced open: %+v", got)
	}
	s.run("reset")
	if got := s.snapshot(); !got.LastFailure.IsZero() || got.SinceLastFailure != 0 {
		t.Errorf("reset: %+v", got)
	}
	if got := (Snapshot{}); got.TotalFailureRate() != 0 || got.SuccessRate() != 1 || got.FailureRatio() != 0 || got.SlowRatio() != 0 {
		t.Error("empty ratios")
	}
}

func TestSnapshotShowsOpeningsOnlyAsLongAsTheyCount(t *testing.T) {
	m := newTestMachine(with(trips, func(c *Config) { c.ResetOpensAfter = 10 * sec }))
	s := newScript(t, m)
	for _, step := range []struct {
		steps string
		opens int
	}{{"f", 1}, {"+5s f", 2}, {"+5s s +9s", 2}, {"+1s", 0}, {"f", 1}} {
		s.run(step.steps)
		if got := s.snapshot().Opens; got != step.opens {
			t.Errorf("after %s: %d openings, want %d", step.steps, got, step.opens)
		}
	}
}

func TestSnapshotSettlesAndTheNextCallTellsTheShell(t *testing.T) {
	m := newTestMachine(trips)
	s := newScript(t, m)
	s.run("f +5s a1 t +3s")
	if got := s.snapshot(); got.State != Open || got.Cause != CauseProbeLost {
		t.Errorf("%+v", got)
	}
	if !m.Tick(s.now) {
		t.Error("nobody is told")
	}
}

func TestJitterOnlyLengthensAndByNoMoreThanItsShare(t *testing.T) {
	cfg := with(trips, func(c *Config) { c.OpenJitter = 0.5 })
	open := func(seed uint64) (times []time.Duration) {
		m := NewMachine(Params{Config: cfg, Seed: seed})
		var now patterns.Instant
		for range 200 {
			m.Report(now, patterns.PermitID{Epoch: m.Epoch(), ID: 1}, patterns.Failure, 0)
			times = append(times, m.until.Sub(now))
			now = m.until
			m.Acquire(now, 1, nil)
		}
		return times
	}
	times := open(1)
	if least, most := slices.Min(times), slices.Max(times); least < 5*sec || least > 5200*time.Millisecond ||
		most >= 7500*time.Millisecond || most < 7300*time.Millisecond {
		t.Errorf("open times from %v to %v", least, most)
	}
	if !slices.Equal(times, open(1)) || slices.Equal(times, open(2)) {
		t.Error("the seed does not decide")
	}
	newScript(t, newTestMachine(cfg)).run("f x@5s") // no seed, no jitter
}

func TestNamesOfStates(t *testing.T) {
	var names []string
	for s := range State(8) {
		names = append(names, s.String())
		if s.Valid() != (s < 6) || s.Forced() != (s >= 3 && s < 6) {
			t.Errorf("%v: valid %v, forced %v", s, s.Valid(), s.Forced())
		}
	}
	if got := strings.Join(names, " "); got != "closed open half-open forced-open forced-closed metrics-only state(6) state(7)" {
		t.Error(got)
	}
}
