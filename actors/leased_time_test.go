package actors

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/bulwark-go/bulwark/patterns"
)

// With everything lent to cells that do not spend it, callers still get what there
// is once the leases' time is over.
func TestWaitersAreServedFromIdleLeases(t *testing.T) {
	inLeaseBubble(t, func(t *testing.T) {
		m := newSlots(8)
		m.waits = true
		g := spawnSlots(t, m, patterns.Leased(8, time.Second), 10)
		held := g.acquire(t) // 7 are idle now
		ordered, err := g.AcquireFor(t.Context(), patterns.Request{Priority: patterns.High})
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

func TestANewSlowThresholdReachesLeasedPermits(t *testing.T) {
	inLeaseBubble(t, func(t *testing.T) {
		m := newSlots(1 << 20)
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
			g.acquireIn(t, 0)
		}
		for range 10_000 {
			p := g.acquireIn(t, 0)
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
			call := func(n, i int) { // n calls at once in the i-th cell
				permits := make([]patterns.Permit, n)
				for k := range permits {
					permits[k] = g.acquireIn(t, i)
				}
				for k := range permits {
					permits[k].Report(patterns.Success)
					reported++
				}
			}
			for range 3 * size {
				for i := range g.shell.cells.all {
					call(1, i)
				}
				worst = max(worst, lag())
			}
			if worst != bound {
				t.Errorf("short calls lag by up to %d, the bound is %d", worst, bound)
			}
			time.Sleep(ttl + 1)
			if lag() != 0 {
				t.Errorf("%d not counted after ttl", lag())
			}
			worstLong := 0
			for _, leases := range []int{1, 3, leasesPerCell, 20} {
				for i := range g.shell.cells.all {
					call(leases*size, i)
				}
				worstLong = max(worstLong, lag())
				time.Sleep(ttl + 1)
				if lag() != 0 {
					t.Errorf("%d not counted after ttl", lag())
				}
			}
			if worstLong != leasesPerCell*bound {
				t.Errorf("long calls lag by up to %d, the bound is %d", worstLong, leasesPerCell*bound)
			}
			t.Logf("size %d, %d cells: lag %d of %d, with long calls %d of %d",
				size, len(g.shell.cells.all), worst, bound, worstLong, leasesPerCell*bound)
		})
	}
}

func TestDrainingWaitsForLeasedPermits(t *testing.T) {
	inLeaseBubble(t, func(t *testing.T) {
		const ttl = 100 * time.Millisecond
		g := spawnSlots(t, newSlots(1<<20), patterns.Leased(8, ttl), 0)
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
		g := spawnSlots(t, newSlots(1<<20), patterns.Leased(8, time.Hour), 0)
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
