package rules

import (
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/bulwark-go/bulwark/patterns"
	"github.com/bulwark-go/bulwark/supervisor/intensity"
)

// world is a Machine among actors whose messages take their time: each has a queue of
// what proto.actor would post to it.
type world struct {
	t     *rapid.T
	m     *Machine
	gated bool
	now   patterns.Instant
	kids  map[ID]*worldKid
	inbox []func() // of the supervisor
}

type worldKid struct {
	inbox     []Effect
	dead      bool
	suspended bool
	shut      bool
	pass      int
	probe     uint64
	busy      bool // with a message of a user's
}

func (w *world) flush() {
	for _, e := range w.m.Effects() {
		k := w.kids[e.Child]
		switch e.Do {
		case DoChanged, DoGroup, DoGiveUp:
		case DoSettle:
			w.inbox = append(w.inbox, func() { w.m.Settled(e.Barrier) })
		case DoSpawn:
			if !k.dead {
				w.t.Fatalf("%v of a child that lives", e.Do)
			}
			*k = worldKid{}
		default:
			if k.dead {
				continue
			}
			k.inbox = append(k.inbox, e)
		}
	}
}

// work lets the supervisor handle one message.
func (w *world) work() {
	if len(w.inbox) == 0 {
		return
	}
	job := w.inbox[0]
	w.inbox = w.inbox[1:]
	job()
	w.flush()
}

// obey lets a child handle one message.
func (w *world) obey(id ID, k *worldKid) {
	if k.dead || k.busy || len(k.inbox) == 0 {
		return
	}
	e := k.inbox[0]
	k.inbox = k.inbox[1:]
	switch e.Do {
	case DoSuspend:
		k.suspended = true
	case DoResume:
		k.suspended = false
	case DoRestart:
		k.inbox = append(k.inbox, Effect{Do: DoResume})
	case DoShut:
		k.shut, k.pass = true, 0
	case DoProbe:
		k.shut, k.pass, k.probe = true, e.Pass, e.Probe
	case DoOpen:
		k.shut = false
	case DoStop:
		w.die(id, k)
	}
}

func (w *world) die(id ID, k *worldKid) {
	if !k.dead {
		k.dead, k.inbox = true, nil
		w.inbox = append(w.inbox, func() { w.m.Gone(w.now, id, 0) })
	}
}

// begin gives a child a message of a user's.
func (w *world) begin(k *worldKid) {
	k.busy = k.busy || !k.dead && !k.suspended && len(k.inbox) == 0 && (!k.shut || k.pass > 0)
}

// end ends that, with a failure or not.
func (w *world) end(id ID, k *worldKid, fail bool) {
	if !k.busy {
		return
	}
	k.busy = false
	if fail {
		k.inbox = append(k.inbox, Effect{Do: DoSuspend})
		w.inbox = append(w.inbox, func() { w.m.Failed(w.now, Failure{Child: id, Gated: w.gated}) })
		return
	}
	if k.pass > 0 {
		if k.pass--; k.pass == 0 {
			k.shut = false
			probe := k.probe
			w.inbox = append(w.inbox, func() { w.m.Passed(w.now, id, probe) })
		}
	}
}

// calm lets everything under way happen, and then time pass until nothing is due.
func (w *world) calm() {
	for id, k := range w.kids {
		w.end(id, k, false)
	}
	for range 10_000 {
		w.deliver()
		wake := w.m.Wake()
		if wake == patterns.Never {
			return
		}
		if wake <= w.now {
			w.t.Fatalf("at %d it wants to be woken at %d", w.now, wake)
		}
		w.now = wake
		w.m.Tick(w.now)
		w.flush()
	}
	w.t.Fatal("it never comes to rest")
}

// tryFirst has the first child fail until its circuit is half-open.
func (w *world) tryFirst() {
	for s, ok := w.m.Status(0); ok && s.State == Running; s, ok = w.m.Status(0) {
		w.begin(w.kids[0])
		w.end(0, w.kids[0], true)
		w.deliver()
	}
	if wake := w.m.Wake(); wake != patterns.Never {
		w.now = wake
		w.m.Tick(w.now)
		w.flush()
	}
}

// deliver lets everything under way happen, and no time pass.
func (w *world) deliver() {
	for again := true; again; {
		again = len(w.inbox) > 0
		w.work()
		for id, k := range w.kids {
			again = again || len(k.inbox) > 0
			w.obey(id, k)
		}
	}
}

// check is what must be true of a world at rest.
func (w *world) check() {
	parked := false
	w.m.Children(func(s Status) { parked = parked || s.State == Quarantined })
	w.m.Children(func(s Status) {
		k := w.kids[s.Child]
		switch s.State {
		case Running:
			if k.dead || k.suspended || k.shut {
				w.t.Errorf("child %d is %v, but %+v", s.Child, s.State, *k)
			}
		case HalfOpen:
			if k.dead || k.suspended || !w.gated || !k.shut || k.pass == 0 {
				w.t.Errorf("child %d is %v, but %+v", s.Child, s.State, *k)
			}
		case Quarantined:
		case Suspended:
			if !parked {
				w.t.Errorf("child %d is %v for nobody", s.Child, s.State)
			}
		default:
			w.t.Errorf("child %d is %v for ever", s.Child, s.State)
		}
	})
	for id, k := range w.kids {
		if _, known := w.m.Status(id); !known && !k.dead {
			w.t.Errorf("child %d lives and nobody supervises it", id)
		}
	}
	if g, _ := w.m.Group(); g == Open {
		w.t.Error("the group is open for ever")
	}
	if w.m.Waiting() > 0 || len(w.m.due) > 0 {
		w.t.Error("somebody waits for ever")
	}
}

func TestNobodyIsForgotten(t *testing.T) { rapid.Check(t, nobodyIsForgotten) }

// FuzzMachine is safety and liveness: left alone, and released, every child runs again.
func FuzzMachine(f *testing.F) { f.Fuzz(rapid.MakeFuzz(nobodyIsForgotten)) }

func nobodyIsForgotten(t *rapid.T) {
	cfg := drawConfig(t)
	cfg.Scope = rapid.SampledFrom([]Scope{One, All, Rest}).Draw(t, "scope")
	if cfg.Scope == One && rapid.Bool().Draw(t, "correlated") {
		cfg.Correlated = CorrelatedConfig{
			Share: 0.4, Within: 20, MinFailed: 2, OpenFor: time.Duration(rapid.IntRange(1, 30).Draw(t, "group open")),
			OpenFactor: 2, ProbeFor: time.Duration(rapid.IntRange(1, 30).Draw(t, "group probe")),
		}
	}
	gated, most := rapid.Bool().Draw(t, "gated"), 5
	if rapid.Bool().Draw(t, "trials") { // two of whom each ends the other's: what is late is about an earlier one
		gated, most = true, 2
		cfg = Config{Scope: cfg.Scope, HoldFor: NoHold, Breaker: BreakerConfig{
			Intensity: 1, Period: time.Duration(rapid.IntRange(1, 60).Draw(t, "trip period")), OpenFor: 1, Probes: 1,
		}, Intensity: intensity.Config{Restarts: intensity.Unlimited}}
	}
	w := &world{t: t, m: New(Params{Config: cfg}), gated: gated, kids: map[ID]*worldKid{}}
	n := rapid.IntRange(1, most).Draw(t, "children")
	kinds := rapid.SliceOfN(rapid.SampledFrom([]RestartType{Permanent, Transient, Temporary}), n, n).Draw(t, "types")
	for i, kind := range kinds {
		w.m.Add(0, ID(i), kind)
		w.kids[ID(i)] = &worldKid{}
	}
	if most == 2 {
		w.tryFirst()
	}
	for range rapid.IntRange(1, 100).Draw(t, "steps") {
		id := ID(rapid.IntRange(0, n-1).Draw(t, "child"))
		k := w.kids[id]
		switch rapid.SampledFrom([]string{"begin", "fail", "fail", "serve", "obey", "obey", "work", "work", "time", "exit", "release", "dismiss"}).Draw(t, "op") {
		case "begin":
			w.begin(k)
		case "fail":
			w.begin(k)
			w.end(id, k, true)
		case "serve":
			w.begin(k)
			w.end(id, k, false)
		case "obey":
			w.obey(id, k)
		case "work":
			w.work()
		case "time":
			w.now += patterns.Instant(rapid.IntRange(1, 40).Draw(t, "time"))
			if w.m.Wake() <= w.now {
				w.m.Tick(w.now)
				w.flush()
			}
		case "exit":
			if !k.busy && rapid.IntRange(0, 3).Draw(t, "really") == 0 {
				w.die(id, k)
			}
		case "release":
			w.m.Release(w.now, id)
			w.flush()
		case "dismiss":
			if rapid.IntRange(0, 9).Draw(t, "really") == 0 {
				w.m.Dismiss(w.now, id)
				w.flush()
			}
		}
	}
	w.calm()
	w.check()
	w.m.Children(func(s Status) { w.m.Release(w.now, s.Child) })
	w.flush()
	w.calm()
	w.m.Children(func(s Status) {
		if s.State != Running && s.State != HalfOpen {
			t.Errorf("released, child %d is %v", s.Child, s.State)
		}
	})
	w.m.Leave(w.now)
	w.flush()
	for id, k := range w.kids {
		w.die(id, k)
	}
	w.calm()
	w.m.Children(func(s Status) { t.Errorf("left, child %d is %v", s.Child, s.State) })
}
