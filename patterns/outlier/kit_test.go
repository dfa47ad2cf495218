package outlier

import (
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/bulwark-go/bulwark/actors"
	"github.com/bulwark-go/bulwark/patterns"
)

const (
	ms  = time.Millisecond
	sec = time.Second
)

// tester is a testing.TB or a rapid.T.
type tester interface {
	Helper()
	Errorf(format string, args ...any)
	Fatalf(format string, args ...any)
}

// rig is a Machine and its callers. Members are called by their numbers.
type rig struct {
	*Machine
	t      tester
	flight map[int]int // by slot
	turn   int
	events []patterns.Event
	told   patterns.Instant // the Wake that the machine's host was told of
}

func (r *rig) Of(slot int) int { return r.flight[slot] }

func numbered(n int) Members {
	names := make([]string, n)
	for i := range names {
		names[i] = strconv.Itoa(i)
	}
	return List(names...)
}

// newRig has n members, unless c has its own.
func newRig(t tester, n int, c Config) *rig {
	if c.Members == (Members{}) {
		c.Members = numbered(n)
	}
	r := &rig{Machine: NewMachine(Params{Name: "m", Config: c}), t: t, flight: map[int]int{}}
	r.told = r.Wake()
	return r
}

// choose begins a call that does not like to go to one member, unless that is -1.
func (r *rig) choose(now time.Duration, avoided int) *place {
	r.tick(now)
	var been *trail
	if avoided >= 0 {
		been = new(trail)
		been.add(r.members[avoided].mark)
	}
	p := r.plan.choose(patterns.Instant(now), r.turn, r, been)
	r.turn++
	r.flight[p.slot]++
	return p
}

func (r *rig) end(now time.Duration, p *place, o patterns.Outcome) {
	r.tick(now)
	r.flight[p.slot]--
	question := p.good
	switch o {
	case patterns.Ignored:
		return
	case patterns.Failure, patterns.Dropped:
		question = p.bad
	}
	r.step(r.Consult(patterns.Instant(now), question).Dirty)
}

// tick does what a host does whose timer goes off.
func (r *rig) tick(now time.Duration) {
	for r.told <= patterns.Instant(now) {
		at := r.told
		r.step(r.Tick(at))
		if r.told <= at {
			r.t.Fatalf("woken at %v, it wants to be at %v", at, r.told)
		}
	}
}

// step looks at what a host looks at when told to.
func (r *rig) step(dirty bool) {
	switch {
	case dirty:
		r.told = r.Wake()
		r.events = slices.AppendSeq(r.events, r.Drain())
	case r.Wake() != r.told:
		r.t.Fatalf("it wants to be woken at %v, and said %v", r.Wake(), r.told)
	}
	r.sound()
}

func (r *rig) sound() {
	r.t.Helper()
	if err := r.Check(); err != nil {
		r.t.Errorf("%v", err)
	}
	if p := r.Plan().(*plan); p.out != r.out {
		r.t.Errorf("the plan has %d ejected, want %d", p.out, r.out)
	}
}

// calls makes n calls to a member, which end at once.
func (r *rig) calls(now time.Duration, member, n int, o patterns.Outcome) {
	r.t.Helper()
	for range n {
		r.tick(now)
		p := &r.plan.places[member]
		if p.until > patterns.Instant(now) {
			r.t.Fatalf("at %v %s is ejected", now, p.name)
		}
		r.flight[p.slot]++
		r.end(now, p, o)
	}
}

func (r *rig) ejected(now time.Duration) (out []string) {
	for _, b := range r.state(now).Members {
		if b.Ejected {
			out = append(out, b.Name)
		}
	}
	return out
}

func (r *rig) state(now time.Duration) Snapshot {
	r.tick(now)
	return r.Snapshot(patterns.Instant(now), patterns.Counts{})
}

func (r *rig) want(now time.Duration, want ...string) {
	r.t.Helper()
	if got := r.ejected(now); !slices.Equal(got, want) {
		r.t.Errorf("at %v: %v are ejected, want %v", now, got, want)
	}
}

func spawn(t testing.TB, guards *actors.Registry, c Config, opts ...actors.Option) *Ejector {
	t.Helper()
	e, err := Spawn(guards, "e", c, opts...)
	if err != nil {
		t.Fatal(err)
	}
	return e
}

func snapshot(t testing.TB, e *Ejector) Snapshot {
	t.Helper()
	s, ok := e.Snapshot(t.Context())
	if !ok {
		t.Error("no snapshot")
	}
	return s
}

func choose(t testing.TB, e *Ejector) *Choice {
	t.Helper()
	c, err := e.Choose(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return c
}
