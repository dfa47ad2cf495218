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

func slotsSpec(m *slots, mode patterns.Mode, queue int) Spec[slotsConfig, slotsSnapshot] {
	return Spec[slotsConfig, slotsSnapshot]{
		Pattern: "slots", Mode: mode, MaxWaiting: queue, Validate: func(slotsConfig) error { return nil },
		New: func(Origin) Machine[slotsConfig, slotsSnapshot] { return m },
	}
}

func spawnSlots(t testing.TB, m *slots, mode patterns.Mode, queue int) *slotsGuard {
	t.Helper()
	g, err := Spawn(guardsForLeases(t), "slots", slotsSpec(m, mode, queue),
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
	leased := spawnSlots(t, newSlots(100), patterns.Leased(8, time.Hour), 0)
	strict := spawnSlots(t, newSlots(100), patterns.Strict, 0)
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

// With everything lent to cells that do not spend it, callers still get what there
// is once the leases' time is over.
func TestWaitersAreServedFromIdleLeases(t *testing.T) {
	inLeaseBubble(t, func(t *testing.T) {
		m := newSlots(8)
		m.waits = true
		g := spawnSlots(t, m, patterns.Leased(8, time.Second), 10)
		held := g.acquire(t) // 7 are idle now
		ordered, err := g.AcquireFor(t.Context(), patterns.Request{Weight: 1})
		if err != nil {
			t.Fatal(err)
		}
		ordered.Report(patterns.Success)
		held.Report(patterns.Success)
		if got := g.snapshot(t); got.InFlight != 0 || got.Waiting != 0 {
			t.Errorf("%+v", got)
		}
	})
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
		g := spawnSlots(t, newSlots(100), patterns.Leased(64, time.Hour), 0)
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

func TestANewSlowThresholdReachesLeasedPermits(t *testing.T) {
	inLeaseBubble(t, func(t *testing.T) {
		m := newSlots(100)
		g := spawnSlots(t, m, patterns.Leased(8, time.Hour), 0)
		call := func(took time.Duration) (byMessage int) {
			p := g.acquire(t)
			before := 0
			g.look(t, func(m *slots) { before = m.successes })
			time.Sleep(took)
			p.Report(patterns.Success)
			g.look(t, func(m *slots) { byMessage = m.successes - before })
			return byMessage
		}
		if call(time.Minute) != 0 {
			t.Error("reported at once though nothing is slow")
		}
		g.look(t, func(m *slots) { m.slow = time.Second; g.shell.settle() })
		if call(time.Second) != 0 {
			t.Error("as long as the threshold is slow already")
		}
		if call(time.Second+1) == 0 {
			t.Error("a slow success stayed with its lease")
		}
		g.look(t, func(m *slots) { m.slow = 0; g.shell.settle() })
		if call(time.Minute) != 0 {
			t.Error("reported at once though nothing is slow any more")
		}
	})
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
	p, err := g.AcquireFor(t.Context(), patterns.Request{Weight: 1})
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

func TestIdleLeasesComeBackAndTheTimerStops(t *testing.T) {
	inLeaseBubble(t, func(t *testing.T) {
		const ttl = 100 * time.Millisecond
		g := spawnSlots(t, newSlots(1000), patterns.Leased(64, ttl), 0)
		p := g.acquire(t)
		p.Report(patterns.Success)
		g.look(t, func(m *slots) {
			if m.lent != 64 || m.successes != 0 {
				t.Errorf("%d lent, %d counted", m.lent, m.successes)
			}
		})
		time.Sleep(ttl + 1)
		g.look(t, func(m *slots) {
			if m.lent != 0 || m.successes != 1 {
				t.Errorf("after ttl %d lent, %d counted", m.lent, m.successes)
			}
			if g.shell.armed != patterns.Never || g.shell.cells.sweepAt != patterns.Never {
				t.Errorf("still sweeping: armed for %d", g.shell.armed)
			}
		})
		time.Sleep(time.Hour)
		g.look(t, func(*slots) {
			if last := time.Duration(g.shell.last); last > 2*ttl {
				t.Errorf("looked at the clock again after %v", last)
			}
		})
	})
}

func TestALeaseInUseIsGivenBackWithinTwoTTLs(t *testing.T) {
	inLeaseBubble(t, func(t *testing.T) {
		const ttl = 100 * time.Millisecond
		g := spawnSlots(t, newSlots(1000), patterns.Leased(64, ttl), 0)
		g.look(t, func(*slots) { g.shell.renew(&g.shell.cells.all[0]) })
		time.Sleep(ttl - 1)
		g.look(t, func(*slots) { g.shell.renew(&g.shell.cells.all[1]) }) // just too young for the sweep
		time.Sleep(ttl + 2)
		g.look(t, func(m *slots) {
			if m.lent != 2 {
				t.Errorf("%d lent after two ttl", m.lent)
			}
		})
	})
}

func TestOrphanedPermitsBlockNoCell(t *testing.T) {
	inLeaseBubble(t, func(t *testing.T) {
		const ttl = 100 * time.Millisecond
		g := spawnSlots(t, newSlots(1<<20), patterns.Leased(8, ttl), 0)
		const orphans = 3000
		for range orphans {
			g.acquire(t)
		}
		for range 10_000 {
			p := g.acquire(t)
			p.Report(patterns.Success)
		}
		time.Sleep(3 * ttl)
		if got := g.snapshot(t); got.InFlight != orphans || got.Success != 10_000 {
			t.Errorf("%+v", got.Counts)
		}
		g.look(t, func(m *slots) {
			if m.lent != orphans {
				t.Errorf("%d lent", m.lent)
			}
			if n := len(g.shell.cells.stragglers); n != orphans {
				t.Errorf("%d of %d are known by their ID", n, orphans)
			}
			if g.shell.cells.sweepAt != patterns.Never {
				t.Error("stragglers come by message and need no sweep")
			}
		})
	})
}

// The success that is reported just when a sweep looks is counted by the next one,
// though nothing is out any more.
func TestASuccessInTheMiddleOfASweepIsNotForgotten(t *testing.T) {
	m := newSlots(100)
	s := bareShell(m, 2, 1)
	defer s.disarm()
	first, _ := s.renew(&s.cells.all[0])
	second, _ := s.cells.all[0].take()
	s.cells.claim(first)
	m.onSuccess = func(m *slots) bool {
		m.onSuccess = nil
		s.cells.claim(second) // a caller, meanwhile
		return false
	}
	s.sweepCells(patterns.Never - 1 - patterns.Instant(s.cells.ttl))
	if m.successes != 1 || s.cells.sweepAt == patterns.Never {
		t.Errorf("%d counted, next sweep at %d", m.successes, s.cells.sweepAt)
	}
	s.sweepCells(patterns.Never - 1)
	if m.successes != 2 || s.cells.sweepAt != patterns.Never {
		t.Errorf("%d counted, next sweep at %d", m.successes, s.cells.sweepAt)
	}
}

// The stated bound, measured: short calls lag by at most size × cells, calls that
// outlast their leases by at most eight times that, and none after ttl.
func TestHowLateSuccessesAreCounted(t *testing.T) {
	for _, size := range []int{8, 64} {
		inLeaseBubble(t, func(t *testing.T) {
			const ttl = 100 * time.Millisecond
			g := spawnSlots(t, newSlots(1<<20), patterns.Leased(size, ttl), 0)
			bound := size * len(g.shell.cells.all)
			reported, worst := 0, 0
			lag := func() (n int) {
				g.look(t, func(m *slots) { n = reported - m.successes })
				return n
			}
			for range 5000 {
				p := g.acquire(t)
				p.Report(patterns.Success)
				reported++
				worst = max(worst, lag())
			}
			if worst > bound || worst == 0 {
				t.Errorf("short calls lag by up to %d, the bound is %d", worst, bound)
			}
			time.Sleep(ttl + 1)
			if lag() != 0 {
				t.Errorf("%d not counted after ttl", lag())
			}
			worstLong := 0
			for _, together := range []int{bound, 3 * bound, leasesPerCell * bound, 20 * bound} {
				permits := make([]patterns.Permit, together)
				for i := range permits {
					permits[i] = g.acquire(t)
				}
				for i := range permits {
					permits[i].Report(patterns.Success)
					reported++
				}
				worstLong = max(worstLong, lag())
				time.Sleep(ttl + 1)
				if lag() != 0 {
					t.Errorf("%d of %d long calls not counted after ttl", lag(), together)
				}
			}
			if worstLong > leasesPerCell*bound || worstLong <= bound {
				t.Errorf("long calls lag by up to %d, the bound is %d", worstLong, leasesPerCell*bound)
			}
			t.Logf("size %d, %d cells: lag %d of %d, with long calls %d of %d",
				size, len(g.shell.cells.all), worst, bound, worstLong, leasesPerCell*bound)
		})
	}
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

func TestDrainingWaitsForLeasedPermits(t *testing.T) {
	inLeaseBubble(t, func(t *testing.T) {
		const ttl = 100 * time.Millisecond
		g := spawnSlots(t, newSlots(100), patterns.Leased(8, ttl), 0)
		p, q := g.acquire(t), g.acquire(t)
		began := time.Now()
		time.AfterFunc(10*time.Second, func() { p.Report(patterns.Failure) })
		time.AfterFunc(20*time.Second, func() { q.Report(patterns.Success) })
		if err := g.Stop(t.Context()); err != nil {
			t.Error(err)
		}
		if took := time.Since(began); took < 20*time.Second || took > 20*time.Second+ttl {
			t.Errorf("stopped after %v", took)
		}
		if _, err := g.Acquire(t.Context()); !errors.Is(err, ErrStopped) {
			t.Errorf("afterwards: %v", err)
		}
		got := g.snapshot(t)
		if got.Success != 1 || got.Failure != 1 || got.InFlight != 0 || got.Lent != 0 {
			t.Errorf("left behind %+v", got)
		}
	})
}

func TestStoppingWithLeasedPermitsOut(t *testing.T) {
	inLeaseBubble(t, func(t *testing.T) {
		g := spawnSlots(t, newSlots(1000), patterns.Leased(8, time.Hour), 0)
		var permits []patterns.Permit
		for range 500 {
			permits = append(permits, g.acquire(t))
		}
		for i := range 100 {
			permits[i].Report(patterns.Success)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		var left *ShutdownError
		if err := g.Stop(ctx); !errors.As(err, &left) || left.InFlight["slots"] != 400 {
			t.Errorf("%v", err)
		}
		got := g.snapshot(t)
		for i := range permits {
			if permits[i].Report(patterns.Success) {
				t.Fatalf("permit %d counts, and nobody counts it", i)
			}
		}
		if after := g.snapshot(t); got != after || got.Success != 100 || got.InFlight != 400 || got.Granted != 500 {
			t.Errorf("%+v became %+v", got, after)
		}
	})
}

// Every leased report that returned true before the guard stopped is in its last
// snapshot, and every one after returned false.
func TestTheLastSnapshotHoldsEveryReportThatCounted(t *testing.T) {
	for range 20 {
		g := spawnSlots(t, newSlots(1<<20), patterns.Leased(8, time.Hour), 0)
		permits := make([]patterns.Permit, 5000)
		for i := range permits {
			permits[i] = g.acquire(t)
		}
		permits = permits[len(permits)-40:] // those that are no stragglers
		var counted atomic.Uint64
		var all sync.WaitGroup
		all.Go(func() {
			for i := range permits {
				if id := permits[i].ID(); g.shell.cells.claim(id) == claimed {
					counted.Add(1)
				}
			}
		})
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		_ = g.Stop(ctx)
		all.Wait()
		if got := g.snapshot(t); got.Success != counted.Load() || got.InFlight != 5000-counted.Load() {
			t.Fatalf("%d counted, the snapshot says %+v", counted.Load(), got)
		}
	}
}
