package ratelimiter

import (
	"errors"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/bulwark-go/bulwark/patterns"
)

const (
	ms  = time.Millisecond
	sec = time.Second
)

// origin is a midnight, so that windows of UTC begin at Instant 0.
var origin = time.Unix(0, 0)

func newTestMachine(c Config) *Machine {
	return NewMachine(Params{Name: "test", Origin: origin, Config: c, Seed: [2]uint64{1, 2}})
}

func per(n int64, d time.Duration) Config { return Config{Rate: Rate{Count: n, Per: d}} }

func with(c Config, f func(*Config)) Config {
	f(&c)
	return c
}

// script drives a Machine. Its steps are
//
//	a, a3       acquire, with a weight
//	+1s, -1s    the clock moves
//	release     the last permit granted
//	report      the last permit granted
//	@key        of the requests that follow
//	by50ms      the next caller leaves then
//	now         the next caller does not wait
//	asked1ms    the next caller waits, since then
//	no-waiting  Reconfigure: nobody may wait
//	tick        as the shell does when Wake says so
//	reset, force-open, force-open:1s, force-closed, metrics-only
//	rate=10/s   Reconfigure
//	repair
//
// and what run returns is what each acquire said: g, r:100ms (refused, retry then),
// w:100ms (wait, asked again then) or heavy.
type script struct {
	t    *testing.T
	m    *Machine
	now  patterns.Instant
	id   uint64
	last patterns.PermitID
	key  string
	by   patterns.Instant
	next patterns.Request // what else there is to say of the next caller
}

func newScript(t *testing.T, m *Machine) *script { return &script{t: t, m: m} }

func (s *script) run(steps string) string {
	s.t.Helper()
	var said []string
	for step := range strings.FieldsSeq(steps) {
		if answer := s.step(step); answer != "" {
			said = append(said, answer)
		}
		if err := s.m.Check(); err != nil {
			s.t.Fatalf("after %s: %v", step, err)
		}
	}
	return strings.Join(said, " ")
}

func (s *script) step(step string) string {
	s.t.Helper()
	after := func(prefix string) time.Duration {
		d, err := time.ParseDuration(strings.TrimPrefix(step, prefix))
		if err != nil {
			s.t.Fatal(err)
		}
		return d
	}
	word, arg, _ := strings.Cut(step, ":")
	switch {
	case step[0] == '+' || step[0] == '-':
		s.now = s.now.Add(after("+"))
	case step[0] == '@':
		s.key = step[1:]
	case strings.HasPrefix(step, "by"):
		s.by = s.now.Add(after("by"))
	case step == "now":
		s.next.NoWait = true
	case strings.HasPrefix(step, "asked"):
		s.next.Asked = patterns.Instant(after("asked"))
	case step == "no-waiting":
		s.m.Reconfigure(s.now, with(s.m.cfg, func(c *Config) { c.MaxWaiting, c.MaxWait = 0, 0 }))
	case step == "release":
		s.m.Release(s.now, s.last)
	case step == "report":
		s.m.Report(s.now, s.last, patterns.Failure, 0)
	case step == "tick":
		s.m.Tick(s.now)
	case step == "repair":
		s.m.Repair(s.now)
	case strings.HasPrefix(step, "rate="):
		s.m.Reconfigure(s.now, with(s.m.cfg, func(c *Config) { c.Rate = MustParse(step[5:]) }))
	case strings.HasPrefix(step, "a"):
		n, _ := strconv.Atoi(step[1:])
		return s.acquire(n)
	default:
		s.operate(word, arg)
	}
	return ""
}

func (s *script) operate(word, arg string) {
	s.t.Helper()
	for k := range patterns.OperationKind(4) {
		if k.String() == word {
			d, _ := time.ParseDuration(arg)
			if err := s.m.Operate(s.now, patterns.Operation{Kind: k, For: d}); err != nil {
				s.t.Fatal(err)
			}
			return
		}
	}
	s.t.Fatalf("unknown step %q", word)
}

func (s *script) acquire(n int) string {
	s.t.Helper()
	s.id++
	r := s.next
	r.Key, r.Weight, r.Deadline = s.key, n, s.by
	d := s.m.Acquire(s.now, s.id, &r)
	s.by, s.next = 0, patterns.Request{}
	switch d.Verdict {
	case patterns.Grant:
		s.last = patterns.PermitID{Epoch: d.Epoch, ID: s.id}
		return "g"
	case patterns.Wait:
		return "w:" + s.m.Again().Sub(s.m.hi).String()
	}
	if !errors.Is(d.Err, patterns.ErrRejected) {
		s.t.Fatalf("refused with %v", d.Err)
	}
	if _, ok := errors.AsType[*WeightError](d.Err); ok {
		return "heavy"
	}
	e, _ := errors.AsType[*LimitError](d.Err)
	if e == nil || !errors.Is(d.Err, ErrLimited) || e.Name != "test" {
		s.t.Fatalf("refused with %v", d.Err)
	}
	if e.RetryAt.IsZero() {
		return "r:never"
	}
	return "r:" + e.RetryAt.Sub(s.m.wall(s.m.hi)).String()
}

func TestMachine(t *testing.T) {
	two := Config{Rate: Rate{10, sec, 2}}
	tiers := Config{Tiers: Several(Rate{10, sec, 2}, Rate{3, time.Minute, 3})}
	waits := with(two, func(c *Config) { c.MaxWaiting = 9 })
	algorithm := func(a Algorithm) Config { return with(per(2, sec), func(c *Config) { c.Algorithm = a }) }
	warm := with(algorithm(WarmUp), func(c *Config) { c.WarmUpFor = 2 * sec })
	keyed := with(two, func(c *Config) { c.MaxKeys = 9 })
	tests := []struct {
		name  string
		cfg   Config
		steps string
		want  string
	}{
		{"a burst passes at once, and then one at a time", two, "a a a +100ms a a", "g g r:100ms g r:100ms"},
		{"who comes at exactly the time it was told passes, 1 ns earlier not", two, "a a +99999999ns a +1ns a", "g g r:1ns g"},
		{"idle time earns no more than the burst", two, "+1000h a a a", "g g r:100ms"},
		{"a weight is as many permits", two, "a2 a +100ms a2 +100ms a2", "g r:100ms r:100ms g"},
		{"a weight above the burst never passes", two, "a3 a -1s a-1", "heavy g heavy"},
		{"what was refused uses nothing", two, "a a a a a +200ms a2", "g g r:100ms r:100ms r:100ms g"},
		{"a clock that steps back gives nothing", two, "+1s a a -1s a +1s a +100ms a", "g g r:100ms r:100ms g"},
		{"a permit released at once gives all back", two, "a2 release a2", "g g"},
		{"a permit released late makes the bucket full and not more", two, "a2 +150ms release a2 a", "g g r:100ms"},
		{"a permit released when all has come again gives nothing back", two, "a2 +200ms a2 release a", "g g g"},
		{"a reported permit stays used", two, "a2 report release a", "g r:100ms"},
		{"a permit gives back once", two, "a2 release release a2 a", "g g r:100ms"},
		{"keys mean nothing with NoKeys", alone(two), "@x a a @y a", "g g r:100ms"},

		{"all tiers must have enough", tiers, "a a +200ms a +200ms a +19600ms a", "g g g r:19.6s g"},
		{"a tier that refuses leaves the others whole", tiers, "a2 +200ms a +200ms a +19600ms a a", "g g r:19.6s g r:20s"},
		{"the tier with the longest wait says when", tiers, "a2 a", "g r:100ms"},

		{"a sliding window weighs the window before", algorithm(SlidingWindow), "a a a +1s a +500ms a", "g g r:1.5s r:500ms g"},
		{"a sliding log is exact", algorithm(SlidingLog), "a +600ms a a +400ms a a", "g g r:400ms g r:600ms"},
		{"a fixed window begins with the second", algorithm(FixedWindow), "+900ms a a a +100ms a a", "g g r:100ms g g"},
		{"a smooth limiter has no burst", algorithm(Smooth), "+10s a a +500ms a", "g r:500ms g"},
		{"what is heavy makes those behind it wait", algorithm(Smooth), "a2 a +1s a a3", "g r:1s g heavy"},
		{"warming up is slow at first", warm, "a a +1250ms a a +750ms a a", "g r:1.25s g r:750ms g r:500ms"},

		{"callers wait where they may", waits, "a2 a +100ms tick a", "g w:100ms g"},
		{"what can never pass does not wait", waits, "a3", "heavy"},
		{"who leaves before its turn is refused at once", waits, "a2 by100ms a by101ms a", "g r:100ms w:100ms"},
		{"who left already does not wait", waits, "a2 +2ms by-1ms a", "g r:98ms"},
		{"a turn later than MaxWait is refused at once", with(waits, func(c *Config) { c.MaxWait = 150 * ms }), "a2 a a2", "g w:100ms r:200ms"},
		{"each is told when itself is to be asked again", waits, "a2 a2 a", "g w:200ms w:100ms"},
		{"who does not wait is refused", waits, "a2 now a", "g r:100ms"},
		{"who waits is not refused for having waited", with(waits, func(c *Config) { c.MaxWait = 150 * ms }), "a2 +1ms asked1ms a +99ms asked51ms a asked51ms a", "g w:99ms g w:100ms"},
		{"its wait counts from when it asked", with(waits, func(c *Config) { c.MaxWait = 150 * ms }), "a2 +100ms asked1ms a asked1ms a", "g g r:100ms"},
		{"but when its turn has become too late", with(waits, func(c *Config) { c.MaxWait = 150 * ms }), "a2 +1ms rate=2/s asked1ms a", "g r:495ms"},
		{"who waits goes on where nobody may any more", waits, "a2 +1ms no-waiting asked1ms a a", "g w:99ms r:99ms"},

		{"each key has the rates to itself", keyed, "@x a a a @y a @ a", "g g r:100ms g g"},
		{"retry times of keys are whole milliseconds", keyed, "@x +1ns a2 a", "g r:100.999999ms"},
		{"a key gets back what it released", keyed, "@x a2 @y release @x a2", "g g"},

		{"force-open refuses everything", two, "force-open a", "r:never"},
		{"force-open ends", two, "force-open:1s a +1s a", "r:1s g"},
		{"force-closed counts nothing", two, "a force-closed a a a a reset a2 force-closed a force-open:1ns +1ns a", "g g g g g g g r:99.999999ms"},
		{"metrics-only counts what has room", two, "a metrics-only a9 a a force-closed:1ns +1ns a +100ms a", "g g g g r:99.999999ms g"},
		{"reset forgets what was used", two, "a2 reset a2 a", "g g r:100ms"},
		{"a permit of an older epoch gives nothing back", two, "a force-closed:1ns release +1ns a a", "g g r:99.999999ms"},
		{"reset forgets what keys used", keyed, "@x a2 @y a2 reset a2 @x a2 a", "g g g g r:100ms"},
		{"force-open refuses all keys", keyed, "@x force-open:1s a +1s a", "r:1s g"},

		{"a bucket keeps its tokens when it grows", two, "a rate=10/s a2 a", "g r:100ms g"},
		{"and when it shrinks", Config{Rate: Rate{10, sec, 9}}, "a8 rate=5/s a a", "g g r:200ms"},
		{"an empty one stays empty at a new rate", two, "a2 rate=1000/s a +1ms a a", "g r:1ms g r:1ms"},
		{"a permit of older rates gives nothing back", two, "a2 rate=1/s release a", "g r:1s"},
		{"keys keep their tokens", keyed, "@x a2 @y a +50ms rate=1000/s @x a @y a2 @z a2", "g g r:1ms r:1ms g"},

		{"repaired budgets start used up", two, "repair a +100ms a a", "r:100ms g r:100ms"},
		{"repaired keys start used up, known or not", keyed, "@x a repair a @y a +100ms a a @x a", "g r:100ms r:100ms g r:100ms g"},
		{"and fill up in the end", keyed, "repair +1s @y a2 a", "g r:100ms"},
		{"a forced state survives a repair", two, "force-open:1s repair a +1s a", "r:1s g"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := newScript(t, newTestMachine(tt.cfg)).run(tt.steps); got != tt.want {
				t.Errorf("%s:\n got %s\nwant %s", tt.steps, got, tt.want)
			}
		})
	}
}
