package actors

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/bulwark-go/bulwark/patterns"
)

// slotsConfig makes slots a whole Machine.
type slotsConfig struct{ Capacity int }

type slotsSnapshot struct {
	Lent, Worst int
	patterns.Counts
}

func (m *slots) Reconfigure(_ patterns.Instant, c slotsConfig) { m.capacity = c.Capacity }
func (m *slots) Snapshot(_ patterns.Instant, counts patterns.Counts) slotsSnapshot {
	return slotsSnapshot{Lent: m.lent, Worst: m.worst, Counts: counts}
}

// slotsGuard is a guard around slots, the machine being in the test's reach.
type slotsGuard struct {
	*Typed[slotsConfig, slotsSnapshot]
	machine *slots
}

// look runs f in a turn, without settling anything first, as Inspect would.
func (g *slotsGuard) look(t testing.TB, f func(m *slots)) {
	t.Helper()
	if err := g.control(t.Context(), func() { f(g.machine) }); err != nil {
		t.Fatal(err)
	}
}

func (g *slotsGuard) snapshot(t testing.TB) slotsSnapshot {
	t.Helper()
	snapshot, ok := g.Snapshot(t.Context())
	if !ok {
		t.Fatal("no snapshot")
	}
	if !snapshot.Balanced() {
		t.Errorf("counts do not balance: %+v", snapshot.Counts)
	}
	return snapshot
}

func (g *slotsGuard) acquire(t testing.TB) patterns.Permit {
	t.Helper()
	permit, err := g.Acquire(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return permit
}

// acquireIn is acquire for a caller whose hint is the i-th cell.
func (g *slotsGuard) acquireIn(t testing.TB, i int) patterns.Permit {
	t.Helper()
	c := &g.shell.cells.all[i]
	id, ok := c.take()
	if !ok {
		g.look(t, func(*slots) { id, ok = g.shell.renew(c) })
	}
	if !ok {
		t.Fatal("no lease")
	}
	return patterns.NewPermit(g, id, 0)
}

// guardsForLeases returns a registry that ends with the test. Package actorstest has
// a better one, but it imports this package.
func guardsForLeases(t testing.TB) *Registry {
	t.Helper()
	system := actor.NewActorSystem(
		actor.WithLoggerFactory(func(*actor.ActorSystem) *slog.Logger { return slog.New(slog.DiscardHandler) }),
		actor.WithDeadLetterThrottleInterval(time.Millisecond))
	guards, err := NewRegistry(system)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithCancel(context.Background())
		cancel()
		_ = guards.Shutdown(ctx) // some tests leave permits out on purpose
		system.Shutdown()
	})
	return guards
}

// inLeaseBubble runs f in a bubble that outlives proto.actor's dead-letter throttle.
//
//bulwark:bubble
func inLeaseBubble(t *testing.T, f func(*testing.T)) {
	synctest.Test(t, func(t *testing.T) {
		t.Cleanup(func() { time.Sleep(time.Second) })
		time.Sleep(time.Nanosecond) // Instant 0 means that nobody looked at the clock
		f(t)
	})
}

func slotsSpec(m *slots, mode patterns.Mode, seats int) Spec[slotsConfig, slotsSnapshot] {
	m.seats = seats
	return Spec[slotsConfig, slotsSnapshot]{
		Pattern: "slots", Mode: mode, Validate: func(slotsConfig) error { return nil },
		New: func(Origin) Machine[slotsConfig, slotsSnapshot] { return m },
	}
}

func spawnSlots(t testing.TB, m *slots, mode patterns.Mode, seats int) *slotsGuard {
	t.Helper()
	g, err := Spawn(guardsForLeases(t), "slots", slotsSpec(m, mode, seats),
		func(typed *Typed[slotsConfig, slotsSnapshot]) *slotsGuard { return &slotsGuard{typed, m} })
	if err != nil {
		t.Fatal(err)
	}
	return g
}

func (g *slotsGuard) send(msg any) { g.shell.system.Root.Send(g.pid, msg) }

func TestALeasedPermitEndsExactlyOnce(t *testing.T) {
	ends := []struct {
		name string
		end  func(g *slotsGuard, p patterns.Permit)
	}{
		{"success", func(_ *slotsGuard, p patterns.Permit) { p.Report(patterns.Success) }},
		{"failure", func(_ *slotsGuard, p patterns.Permit) { p.Report(patterns.Failure) }},
		{"release", func(_ *slotsGuard, p patterns.Permit) { p.Release() }},
		{"message", func(g *slotsGuard, p patterns.Permit) {
			g.send(Report{Permit: patterns.PermitID{ID: p.ID()}, Outcome: patterns.Ignored})
		}},
		{"cancel", func(g *slotsGuard, p patterns.Permit) { g.send(Cancel{Permit: patterns.PermitID{ID: p.ID()}}) }},
	}
	for _, stragglers := range []bool{false, true} {
		for _, first := range ends {
			g := spawnSlots(t, newSlots(1<<20), patterns.Leased(4, time.Hour), 0)
			p := g.acquire(t)
			others := 0
			if stragglers {
				for range 200 * len(g.shell.cells.all) {
					q := g.acquire(t)
					q.Report(patterns.Success)
					others++
				}
			}
			for _, end := range append([]func(*slotsGuard, patterns.Permit){first.end}, ends[0].end, ends[1].end, ends[2].end, ends[3].end, ends[4].end) {
				end(g, p)
			}
			got := g.snapshot(t)
			if got.Reported+got.Reclaimed != uint64(others+1) || got.InFlight != 0 || got.Repeated != uint64(len(ends)) {
				t.Errorf("%s first, straggler %v: %+v", first.name, stragglers, got.Counts)
			}
			g.look(t, func(m *slots) {
				if m.tooMany > 0 || len(g.shell.cells.stragglers) > 0 {
					t.Errorf("%s first, straggler %v: came back too often", first.name, stragglers)
				}
			})
		}
	}
}

func TestReportsOfLeasedPermitsThatNeverWere(t *testing.T) {
	leased := spawnSlots(t, newSlots(1<<20), patterns.Leased(8, time.Hour), 0)
	strict := spawnSlots(t, newSlots(1<<20), patterns.Strict, 0)
	p := leased.acquire(t)
	_, number, _ := splitLeasedID(p.ID())
	for _, g := range []*slotsGuard{leased, strict} {
		before := g.snapshot(t)
		bad := []uint64{leasedID(0, number+1, 0), leasedID(maxCells-1, number, 0), leasedID(0, 0, 0), leasedBit, 1<<64 - 1}
		if g == strict {
			bad = append(bad, p.ID())
		}
		for _, id := range bad {
			g.send(Report{Permit: patterns.PermitID{ID: id}, Outcome: patterns.Failure})
			g.send(Cancel{Permit: patterns.PermitID{ID: id}})
			if g.Settle(id, 0, patterns.Success) {
				t.Errorf("report of %x counted", id)
			}
			g.Release(id)
		}
		after := g.snapshot(t)
		before.Repeated += 4 * uint64(len(bad))
		if before != after {
			t.Errorf("%+v became %+v", before, after)
		}
	}
	if !p.Report(patterns.Success) {
		t.Error("the permit itself is lost")
	}
}

func TestThousandsOfLongCallsAreNeverLost(t *testing.T) {
	g := spawnSlots(t, newSlots(1<<20), patterns.Leased(16, time.Hour), 0)
	const calls = 20_000
	permits := make([]patterns.Permit, calls)
	for i := range permits {
		permits[i] = g.acquire(t)
	}
	if got := g.snapshot(t); got.InFlight != calls {
		t.Fatalf("%+v", got)
	}
	for i := range permits {
		if !permits[i].Report(patterns.Success) {
			t.Fatalf("permit %d was lost", i)
		}
	}
	if got := g.snapshot(t); got.Success != calls || got.InFlight != 0 || got.Asked != calls {
		t.Errorf("%+v", got)
	}
	g.look(t, func(m *slots) {
		if m.successes != calls {
			t.Errorf("the rules know of %d", m.successes)
		}
	})
}

func TestPermitsThatNobodyReportsDoNotPileUpForEver(t *testing.T) {
	g := spawnSlots(t, newSlots(1<<20), patterns.Leased(4, time.Hour), 0)
	g.look(t, func(*slots) { g.shell.cells.maxStragglers = 100 })
	permits := make([]patterns.Permit, 10_000)
	for i := range permits {
		permits[i] = g.acquire(t)
	}
	g.look(t, func(*slots) {
		if n := len(g.shell.cells.stragglers); n >= 100+4 {
			t.Errorf("%d stragglers", n)
		}
		if g.shell.ledger.live == 0 {
			t.Error("the ledger, which has a bound, does not hold the rest")
		}
	})
	for i := range permits {
		permits[i].Report(patterns.Success)
	}
	if got := g.snapshot(t); got.InFlight != 0 || got.Success != uint64(len(permits)) {
		t.Errorf("%+v", got)
	}
	p := g.acquire(t)
	if p.ID()&leasedBit == 0 {
		t.Error("no lease is given any more")
	}
}

// The lessor of a hard limit: never above it, and all of it comes back.
func TestALeasedLimitIsNeverExceededAndAllOfItComesBack(t *testing.T) {
	const capacity, callers = 50, 8
	for _, size := range []int{2, 16, 64} {
		g := spawnSlots(t, newSlots(capacity), patterns.Leased(size, time.Millisecond), 0)
		var running, granted, refused, reported, released, tooMany atomic.Int64
		var all sync.WaitGroup
		for i := range callers {
			all.Go(func() {
				var held []patterns.Permit
				for n := range 4000 {
					p, err := g.Acquire(context.Background())
					if err != nil {
						refused.Add(1)
					} else {
						granted.Add(1)
						if running.Add(1) > capacity {
							tooMany.Add(1)
						}
						held = append(held, p)
					}
					if len(held) < 1+(n+i)%9 && err == nil {
						continue
					}
					for k, p := range held {
						running.Add(-1)
						if (n+k)%7 == 0 {
							released.Add(1)
							p.Release()
						} else {
							reported.Add(1)
							p.Report(patterns.Outcome((n + k) % 4))
						}
					}
					held = held[:0]
					if n%100 == i {
						if got, ok := g.Snapshot(context.Background()); !ok || !got.Balanced() {
							t.Errorf("%+v", got)
						}
					}
				}
				for _, p := range held {
					running.Add(-1)
					reported.Add(1)
					p.Report(patterns.Success)
				}
			})
		}
		all.Wait()
		g.look(t, func(*slots) { g.shell.callIn(g.shell.now()) })
		got := g.snapshot(t)
		if got.Granted != uint64(granted.Load()) || got.Rejected != uint64(refused.Load()) ||
			got.Reported != uint64(reported.Load()) || got.Reclaimed != uint64(released.Load()) || got.InFlight != 0 {
			t.Errorf("size %d: callers saw %d granted, %d refused, %d reported, %d released: %+v", size,
				granted.Load(), refused.Load(), reported.Load(), released.Load(), got)
		}
		g.look(t, func(m *slots) {
			if tooMany.Load() > 0 || m.worst > capacity || m.tooMany > 0 || m.lent != 0 {
				t.Errorf("size %d: %d ran too many, lent up to %d, %d still lent, %d came back twice",
					size, tooMany.Load(), m.worst, m.lent, m.tooMany)
			}
		})
		t.Logf("size %d: %d granted, %d refused", size, granted.Load(), refused.Load())
	}
}

func TestALeaseOfOnePermitIsNotLost(t *testing.T) {
	g := spawnSlots(t, newSlots(1), patterns.Leased(64, time.Hour), 0)
	for range 100 {
		p := g.acquire(t)
		if _, err := g.Acquire(t.Context()); !errors.Is(err, errNoSlot) {
			t.Fatal(err)
		}
		p.Report(patterns.Success)
		g.snapshot(t) // settles
	}
	g.look(t, func(m *slots) {
		if m.lent != 0 || m.worst != 1 {
			t.Errorf("%d lent, up to %d", m.lent, m.worst)
		}
	})
}

func TestACallerThatLeftIsCountedAsCancelled(t *testing.T) {
	m := newSlots(100)
	s := bareShell(m, 8, 1)
	defer s.disarm()
	c := newCall().(*call)
	c.kind, c.cell = callAcquire, &s.cells.all[0]
	c.state.Store(abandoned)
	s.acquire(c)
	s.revokeCells()
	got := s.totals()
	if !got.Balanced() || got.Asked != 1 || got.Cancelled != 1 || got.Granted != 0 || got.Reclaimed != 0 || got.InFlight != 0 {
		t.Errorf("%+v", got)
	}
	s.recover() // counts anew
	if again := s.totals(); again != got {
		t.Errorf("%+v became %+v", got, again)
	}
	if m.lent != 0 {
		t.Errorf("%d lent", m.lent)
	}
}

// A success that is reported while the state is being settled can be what closes the
// gate. A lease must not be the first thing behind it.
func TestNoLeaseIsOpenedInAStateThatItsOwnSettlingEnded(t *testing.T) {
	m := newSlots(1 << 20)
	s := bareShell(m, 2, 1)
	defer s.disarm()
	c := &s.cells.all[0]
	var ids []uint64
	for range 2 * leasesPerCell {
		id, ok := c.take()
		if !ok {
			id, _ = s.renew(c)
		}
		ids = append(ids, id)
	}
	s.cells.claim(ids[0])
	calls := 0
	m.onSuccess = func(m *slots) bool {
		if calls++; calls == 1 {
			s.cells.claim(ids[1]) // a caller, meanwhile
			return false
		}
		m.shut = true
		m.epoch++
		return true
	}
	s.renew(c)
	if _, limit, spent := unpackSpend(c.spend.Load()); m.shut && spent < limit {
		t.Errorf("%d permits lie behind a closed gate", limit-spent)
	}
}

// A transition that is due when a lease is asked for ends the other leases first.
func TestALeaseIsOfTheStateThatIsDue(t *testing.T) {
	m := newSlots(100)
	s := bareShell(m, 8, 2)
	defer s.disarm()
	s.renew(&s.cells.all[0])
	m.onTick = func(m *slots) bool {
		m.onTick = nil
		m.epoch++
		return true
	}
	s.renew(&s.cells.all[1])
	if _, ok := s.cells.all[0].take(); ok || s.gate.Load().epoch != m.epoch {
		t.Errorf("a permit of the old epoch was spent: %v", ok)
	}
}

// What the rules do about unused permits that came back is carried out.
func TestGivingBackCanChangeTheState(t *testing.T) {
	for name, end := range map[string]func(s *shell){
		"revoked": func(s *shell) { s.revokeCells() },
		"swept":   func(s *shell) { s.sweepCells(patterns.Never - 1) },
		"drained": func(s *shell) { s.drain(make(chan struct{})) },
	} {
		m := newSlots(100)
		s := bareShell(m, 8, 2)
		defer s.disarm()
		s.renew(&s.cells.all[0])
		s.renew(&s.cells.all[1])
		m.onReturn = func(m *slots) bool { m.epoch++; return true }
		end(s)
		if g := s.gate.Load(); g.epoch != m.epoch {
			t.Errorf("%s: callers see epoch %d, the rules are in %d", name, g.epoch, m.epoch)
		}
	}
}

func TestACommandFindsNothingLentThatIsNotInFlight(t *testing.T) {
	for name, command := range map[string]func(g *slotsGuard, t *testing.T) error{
		"reset": func(g *slotsGuard, t *testing.T) error {
			return g.Operate(t.Context(), patterns.Operation{Kind: patterns.ForceClosed})
		},
		"reconfigure": func(g *slotsGuard, t *testing.T) error { return g.Reconfigure(t.Context(), slotsConfig{Capacity: 3}) },
	} {
		g := spawnSlots(t, newSlots(1<<20), patterns.Leased(64, time.Hour), 0)
		held := []patterns.Permit{g.acquire(t), g.acquire(t), g.acquire(t)}
		if err := command(g, t); err != nil {
			t.Fatal(err)
		}
		g.look(t, func(m *slots) {
			if m.lent != len(held) {
				t.Errorf("%s: %d lent", name, m.lent)
			}
		})
		if name == "reconfigure" {
			if _, err := g.Acquire(t.Context()); !errors.Is(err, errNoSlot) {
				t.Errorf("above the new limit: %v", err)
			}
		}
	}
}

// Before the rules hear of anything but a success, they hear of every success that
// was reported before it.
func TestSuccessesAreSettledBeforeAFailure(t *testing.T) {
	g := spawnSlots(t, newSlots(1<<20), patterns.Leased(16, time.Hour), 0)
	var want []int
	successes := 0
	for i := range 2000 {
		p := g.acquire(t)
		if i%7 == 3 {
			want = append(want, successes)
			p.Report(patterns.Failure)
			continue
		}
		p.Report(patterns.Success)
		successes++
	}
	g.look(t, func(m *slots) {
		if !slices.Equal(m.folds, want) {
			t.Errorf("failures found %v successes\nwant %v", m.folds, want)
		}
	})
}

// Permits that are asked for one by one settle the leases as well.
func TestAStrictFailureUnderLeasesFindsTheirSuccesses(t *testing.T) {
	g := spawnSlots(t, newSlots(1<<20), patterns.Leased(16, time.Hour), 0)
	for range 5 {
		p := g.acquire(t)
		p.Report(patterns.Success)
	}
	p, err := g.AcquireFor(t.Context(), patterns.Request{Priority: patterns.High})
	if err != nil || p.ID()&leasedBit != 0 {
		t.Fatalf("%x, %v", p.ID(), err)
	}
	p.Report(patterns.Failure)
	g.look(t, func(m *slots) {
		if !slices.Equal(m.folds, []int{5}) {
			t.Errorf("the failure found %v successes", m.folds)
		}
	})
}

// unleasable hides that slots is a Lessor.
type unleasable struct {
	Machine[slotsConfig, slotsSnapshot]
}

func TestLeasedNeedsALessorAndASoundMode(t *testing.T) {
	guards := guardsForLeases(t)
	wrap := func(typed *Typed[slotsConfig, slotsSnapshot]) *slotsGuard { return &slotsGuard{Typed: typed} }
	spec := slotsSpec(newSlots(9), patterns.Leased(64, 0), 0)
	spec.New = func(Origin) Machine[slotsConfig, slotsSnapshot] { return unleasable{newSlots(9)} }
	if _, err := Spawn(guards, "a", spec, wrap); !errors.Is(err, ErrUnsupported) {
		t.Errorf("leased: %v", err)
	}
	spec.Mode = patterns.Leased(1, 0)
	if _, err := Spawn(guards, "b", spec, wrap); err != nil {
		t.Errorf("size 1: %v", err)
	}
	for _, mode := range []patterns.Mode{patterns.Leased(patterns.MaxLeaseSize+1, 0), patterns.Leased(-1, 0), patterns.Leased(2, -1)} {
		if g, err := Spawn(guards, "c", slotsSpec(newSlots(9), mode, 0), wrap); err == nil {
			t.Errorf("%v: spawned %v", mode, g)
		}
	}
}

func TestSizeOneIsStrict(t *testing.T) {
	for _, mode := range []patterns.Mode{patterns.Strict, patterns.Leased(1, 0), patterns.Leased(1, time.Nanosecond)} {
		g := spawnSlots(t, newSlots(2), mode, 0)
		if g.shell.lessor != nil || len(g.shell.cells.all) > 0 {
			t.Errorf("%v has cells", mode)
		}
		p, q := g.acquire(t), g.acquire(t)
		if p.ID()&leasedBit != 0 {
			t.Errorf("%v leases", mode)
		}
		if _, err := g.Acquire(t.Context()); !errors.Is(err, errNoSlot) {
			t.Errorf("%v: above the limit: %v", mode, err)
		}
		p.Report(patterns.Success)
		g.look(t, func(m *slots) {
			if m.successes != 1 || m.lent != 1 {
				t.Errorf("%v: %d counted, %d lent", mode, m.successes, m.lent)
			}
		})
		q.Report(patterns.Success)
	}
}
