package rules

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/bulwark-go/bulwark/patterns"
	"github.com/bulwark-go/bulwark/supervisor/backoff"
	"github.com/bulwark-go/bulwark/supervisor/budget"
	"github.com/bulwark-go/bulwark/supervisor/intensity"
)

// twin supervises one for one, from lists of everything that ever happened, and goes
// through time nanosecond by nanosecond.
type twin struct {
	cfg      Config
	now      int
	kids     []*twinKid
	restarts []int // those that count against the intensity, refused ones too
	grants   []int
	queue    []*twinKid
	downs    int
	said     []string
}

type twinKid struct {
	name    string
	kind    RestartType
	state   State
	down    bool
	order   int // when it last went down, among all
	absent  bool
	gated   bool // as far as is known
	shut    bool
	probing bool
	due     int // 0: never
	fails   []int
	trips   []int
	waits   [][2]int // of backoff: failure and due time
	opens   int
}

func (w *twin) say(format string, args ...any) { w.said = append(w.said, fmt.Sprintf(format, args...)) }

func within(times []int, now int, period time.Duration) (n int) {
	for _, t := range times {
		if now-t <= int(period) {
			n++
		}
	}
	return n
}

func (w *twin) become(k *twinKid, to State, cause Cause, due int) {
	until := ""
	if due > 0 {
		until = fmt.Sprintf(" until %d", due)
	}
	w.say("%s %v>%v %s%s", k.name, k.state, to, cause, until)
	k.state, k.due = to, due
}

func (w *twin) goDown(k *twinKid) {
	if !k.down {
		w.downs++
		k.down, k.order = true, w.downs
	}
}

func (w *twin) wait(k *twinKid, to State, cause Cause, due int) {
	w.goDown(k)
	w.become(k, to, cause, due)
	if !k.gated || k.absent || to == Restarting && w.cfg.HoldFor != NoHold && due-w.now <= int(w.cfg.HoldFor) {
		return
	}
	k.shut = true
	if due > 0 {
		w.say("shut %s until %d", k.name, due)
	} else {
		w.say("shut %s", k.name)
	}
}

func (w *twin) fail(k *twinKid) {
	if k.down {
		return
	}
	k.fails = append(k.fails, w.now)
	switch c := w.cfg; {
	case c.Quarantine.on() && within(k.fails, w.now, c.Quarantine.Period) > c.Quarantine.Failures:
		k.probing, k.opens = false, 0
		w.wait(k, Quarantined, CauseTooOften, 0)
		return
	case k.state == HalfOpen:
		k.probing = false
		w.open(k, CauseProbeFailed)
		return
	case c.Breaker.on():
		k.trips = append(k.trips, w.now)
		if within(k.trips, w.now, c.Breaker.Period) > c.Breaker.Intensity {
			k.opens = 0
			w.open(k, CauseTooOften)
			return
		}
	}
	w.restarts = append(w.restarts, w.now)
	if i := w.cfg.Intensity; i.Restarts > 0 && within(w.restarts, w.now, i.Period) > i.Restarts {
		if k.absent {
			w.become(k, Stopped, CauseNone, 0)
			w.said[len(w.said)-1] = fmt.Sprintf("%s %v>stopped", k.name, Running)
		} else {
			w.become(k, Stopping, CauseIntensity, 0)
			w.say("stop %s", k.name)
		}
		w.say("give-up %s intensity", k.name)
		w.kids = slices.DeleteFunc(w.kids, func(x *twinKid) bool { return x == k })
		return
	}
	if w.cfg.Backoff != (backoff.Config{}) {
		attempt := 0
		before := w.now
		for _, f := range slices.Backward(k.waits) {
			if before-f[1] >= int(w.cfg.Backoff.ResetAfter) {
				break
			}
			attempt++
			before = f[0]
		}
		delay := int(w.cfg.Backoff.Base)
		for range attempt {
			delay = min(2*delay, int(w.cfg.Backoff.Max))
		}
		k.waits = append(k.waits, [2]int{w.now, w.now + delay})
		w.wait(k, Restarting, CauseBackoff, w.now+delay)
		return
	}
	w.ready(k)
}

func (w *twin) open(k *twinKid, cause Cause) {
	until := float64(w.cfg.Breaker.OpenFor) * math.Pow(w.cfg.Breaker.OpenFactor, float64(k.opens))
	k.opens++
	w.wait(k, Open, cause, w.now+int(min(until, float64(w.cfg.Breaker.MaxOpenFor))))
}

// tokens are what is left of the budget, in nanoseconds' worth.
func (w *twin) tokens() int {
	every, full := int(w.cfg.Budget.Every), w.cfg.Budget.Burst*int(w.cfg.Budget.Every)
	left, last := full, 0
	for _, g := range w.grants {
		left = min(full, left+g-last) - every
		last = g
	}
	return min(full, left+w.now-last)
}

func (w *twin) ready(k *twinKid) {
	w.goDown(k)
	k.due = 0
	if w.cfg.Budget == (budget.Config{}) {
		w.restart(k)
		return
	}
	w.queue = append(w.queue, k)
	w.serve()
	if !slices.Contains(w.queue, k) {
		return
	}
	w.wait(k, Restarting, CauseBudget, w.now+len(w.queue)*int(w.cfg.Budget.Every)-w.tokens())
	k.due = 0
}

func (w *twin) serve() {
	slices.SortFunc(w.queue, func(a, b *twinKid) int { return a.order - b.order })
	for len(w.queue) > 0 && w.tokens() >= int(w.cfg.Budget.Every) {
		k := w.queue[0]
		w.queue = w.queue[1:]
		w.grants = append(w.grants, w.now)
		w.restart(k)
	}
}

func (w *twin) restart(k *twinKid) {
	k.down = false
	switch {
	case k.probing && k.gated:
		w.become(k, HalfOpen, CauseProbe, 0)
	case k.probing:
		w.become(k, HalfOpen, CauseProbe, w.now+int(w.cfg.Breaker.ProbeFor))
	case k.state != Running:
		w.become(k, Running, CauseRestarted, 0)
	}
	absent := k.absent
	if absent {
		k.absent = false
		w.say("spawn %s", k.name)
	}
	if k.probing && k.gated {
		k.shut = true
		w.say("probe %s %d", k.name, w.cfg.Breaker.Probes)
	} else if k.shut {
		k.shut = false
		w.say("open %s", k.name)
	}
	if !absent {
		w.say("restart %s", k.name)
	}
}

func (w *twin) pass(k *twinKid, cause Cause) {
	k.probing, k.trips, k.opens, k.shut = false, nil, 0, false
	w.become(k, Running, cause, 0)
}

func (w *twin) gone(k *twinKid) {
	switch {
	case k.absent:
	case k.kind == Permanent:
		k.absent, k.shut = true, false
		w.fail(k)
	default:
		w.queue = slices.DeleteFunc(w.queue, func(x *twinKid) bool { return x == k })
		w.kids = slices.DeleteFunc(w.kids, func(x *twinKid) bool { return x == k })
		w.say("%s %v>stopped", k.name, k.state)
	}
}

// advance goes to the next instant.
func (w *twin) advance() {
	w.now++
	var due []*twinKid
	for _, k := range w.kids {
		if k.due == w.now {
			due = append(due, k)
		}
	}
	slices.SortFunc(due, func(a, b *twinKid) int { return a.order - b.order })
	for _, k := range due {
		k.due = 0
		switch k.state {
		case Open:
			k.probing = true
			w.ready(k)
		case HalfOpen:
			w.pass(k, CauseQuiet)
		default:
			w.ready(k)
		}
	}
	w.serve()
}

func TestMachineSupervisesLikeTheListsOfEverything(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		cfg := drawConfig(t)
		cfg.Scope = One
		gated := rapid.Bool().Draw(t, "gated")
		s := newScript(cfg, gated, "")
		w := &twin{cfg: cfg.Normal()}
		if w.cfg.Breaker.MaxOpenFor == 0 {
			w.cfg.Breaker.MaxOpenFor = 16 * w.cfg.Breaker.OpenFor
		}
		for i := range rapid.IntRange(1, 4).Draw(t, "children") {
			kind := rapid.SampledFrom([]RestartType{Permanent, Transient}).Draw(t, "type")
			s.m.Add(0, ID(i+1), kind)
			w.kids = append(w.kids, &twinKid{name: nameOf(ID(i + 1)), kind: kind})
		}
		for range rapid.IntRange(1, 60).Draw(t, "steps") {
			for range rapid.IntRange(0, 40).Draw(t, "time") {
				w.advance()
				got := ""
				if s.m.Wake() <= patterns.Instant(w.now) {
					got = s.do(w.now, "tick")
				}
				compare(t, w, got)
			}
			if len(w.kids) == 0 {
				return
			}
			k := rapid.SampledFrom(w.kids).Draw(t, "child")
			var got string
			switch op := rapid.SampledFrom([]string{"fail", "fail", "fail", "gone", "passed", "tick"}).Draw(t, "op"); op {
			case "fail":
				if k.absent {
					continue
				}
				got = s.do(w.now, "fail "+k.name)
				k.gated = gated
				w.fail(k)
			case "gone":
				got = s.do(w.now, "gone "+k.name)
				w.gone(k)
			case "passed":
				got = s.do(w.now, "passed "+k.name)
				if k.state == HalfOpen && !k.down {
					w.pass(k, CauseProbePassed)
				}
			case "tick":
				got = s.do(w.now, "tick")
			}
			compare(t, w, got)
		}
	})
}

// compare ignores why a child that stopped had been in the state that it was in.
func compare(t *rapid.T, w *twin, got string) {
	var words []string
	for _, g := range strings.Split(got, ", ") {
		if i := strings.Index(g, ">stopped"); i >= 0 {
			g = g[:i] + ">stopped"
		}
		words = append(words, g)
	}
	got = strings.Join(words, ", ")
	if want := strings.Join(w.said, ", "); got != want {
		t.Fatalf("at %d:\n got %q\nwant %q", w.now, got, want)
	}
	w.said = nil
}

// drawConfig draws any parts, with small numbers.
func drawConfig(t *rapid.T) Config {
	d := func(name string, least, most int) time.Duration {
		return time.Duration(rapid.IntRange(least, most).Draw(t, name))
	}
	cfg := Config{HoldFor: rapid.SampledFrom([]time.Duration{NoHold, 10, Hold}).Draw(t, "hold")}
	if rapid.Bool().Draw(t, "intensity") {
		cfg.Intensity = intensity.Config{Restarts: rapid.IntRange(1, 6).Draw(t, "restarts"), Period: d("period", 1, 100)}
	} else {
		cfg.Intensity.Restarts = intensity.Unlimited
	}
	if rapid.Bool().Draw(t, "backoff") {
		cfg.Backoff = backoff.Config{Base: d("base", 1, 10), Max: d("max", 10, 30), ResetAfter: d("reset", 1, 60), Jitter: backoff.NoJitter}
	}
	if rapid.Bool().Draw(t, "breaker") {
		cfg.Breaker = BreakerConfig{
			Intensity: rapid.IntRange(1, 3).Draw(t, "trips"), Period: d("trip period", 1, 60), OpenFor: d("open", 1, 30),
			OpenFactor: rapid.SampledFrom([]float64{1, 2}).Draw(t, "factor"), Probes: rapid.IntRange(1, 3).Draw(t, "probes"), ProbeFor: d("probe", 1, 30),
		}
	}
	if rapid.Bool().Draw(t, "quarantine") {
		cfg.Quarantine = QuarantineConfig{Failures: rapid.IntRange(2, 6).Draw(t, "parks"), Period: d("park period", 1, 200)}
	}
	if rapid.Bool().Draw(t, "budget") {
		cfg.Budget = budget.Config{Burst: rapid.IntRange(1, 3).Draw(t, "burst"), Every: d("every", 1, 30)}
	}
	return cfg
}
