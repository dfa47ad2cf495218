package actors

import (
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/bulwark-go/bulwark/patterns"
)

// waiter asks in a goroutine of its own, and closes granted when it has a permit, which it
// reports as a success when end is closed.
func (g *slotsGuard) waiter(t testing.TB, r patterns.Request, end <-chan struct{}) (granted chan struct{}, wait func()) {
	t.Helper()
	granted = make(chan struct{})
	var wg sync.WaitGroup
	wg.Go(func() {
		p, err := g.AcquireFor(t.Context(), r)
		if err != nil {
			t.Error(err)
		}
		close(granted)
		<-end
		p.Report(patterns.Success)
	})
	return granted, wg.Wait
}

// A leased success is learned of by a sweep. In Keyed order it frees for those without a key.
func TestWhoeverWaitsForALeasedSuccessIsServedInAnyOrder(t *testing.T) {
	for order := range patterns.Order(4) {
		inLeaseBubble(t, func(t *testing.T) {
			const ttl = 100 * time.Millisecond
			m := newSlots(2)
			m.waits, m.order = true, order
			g := spawnSlots(t, m, patterns.Leased(2, ttl), 10)
			first, second := g.acquireIn(t, 0), g.acquireIn(t, 0)
			end := make(chan struct{})
			granted, wait := g.waiter(t, patterns.Request{}, end)
			start := time.Now()
			synctest.Wait()
			first.Report(patterns.Success) // into the cell
			select {
			case <-granted:
			case <-time.After(time.Hour):
				t.Errorf("%v: not served", order)
			}
			if waited := time.Since(start); waited > 2*ttl {
				t.Errorf("%v: waited for %v", order, waited)
			}
			close(end)
			wait()
			second.Report(patterns.Success)
			if got := g.snapshot(t); got.InFlight != 0 || got.Waiting != 0 {
				t.Errorf("%v: %+v", order, got)
			}
		})
	}
}

// A Report that ends all leases frees for its own key all the same, and for what came back.
func TestWhatALeaseGivesBackDoesNotHideWhoseSlotWasFreed(t *testing.T) {
	inLeaseBubble(t, func(t *testing.T) {
		m := newSlots(2)
		m.waits, m.order = true, patterns.Keyed
		g := spawnSlots(t, m, patterns.Leased(2, time.Hour), 10)
		held, err := g.AcquireFor(t.Context(), patterns.Request{Key: "k"})
		if err != nil {
			t.Fatal(err)
		}
		leased := g.acquireIn(t, 0) // another one is unused
		end := make(chan struct{})
		keyed, waitKeyed := g.waiter(t, patterns.Request{Key: "k"}, end)
		synctest.Wait()
		plain, waitPlain := g.waiter(t, patterns.Request{Priority: patterns.High}, end)
		synctest.Wait()
		g.look(t, func(m *slots) { m.onReport = func(m *slots) { m.epoch++ } })
		held.Report(patterns.Success)
		synctest.Wait()
		for name, granted := range map[string]chan struct{}{"of the key": keyed, "of none": plain} {
			select {
			case <-granted:
			default:
				t.Errorf("who waits for a slot %s was not served", name)
			}
		}
		close(end)
		leased.Report(patterns.Success)
		time.Sleep(3 * time.Hour)
		waitKeyed()
		waitPlain()
		g.snapshot(t)
	})
}

// Somebody is told to wait, and just that ends the leases that have what is lacking.
func TestPermitsThatComeBackBecauseSomebodyWaitsAreItsOwn(t *testing.T) {
	for order := range patterns.Order(4) {
		for _, arrival := range []bool{true, false} {
			inLeaseBubble(t, func(t *testing.T) {
				m := newSlots(3)
				m.waits, m.order = true, order
				g := spawnSlots(t, m, patterns.Leased(2, time.Hour), 10)
				held, err := g.AcquireFor(t.Context(), patterns.Request{Weight: 2}) // not leased
				if err != nil {
					t.Fatal(err)
				}
				leased := g.acquireIn(t, 0) // another one is unused
				end := make(chan struct{})
				ends := func(m *slots) { m.onWait = func(m *slots) { m.epoch++ } }
				if arrival {
					g.look(t, ends)
				}
				granted, wait := g.waiter(t, patterns.Request{Weight: 2}, end)
				synctest.Wait()
				if !arrival { // it was asked for once before
					g.look(t, ends)
					g.look(t, func(*slots) { g.shell.pump() })
					synctest.Wait()
				}
				select {
				case <-granted:
				default:
					t.Errorf("%v: not served, on arrival %v", order, arrival)
				}
				held.Report(patterns.Success)
				leased.Report(patterns.Success)
				close(end)
				time.Sleep(3 * time.Hour)
				wait()
			})
		}
	}
}

// The number of a leased permit is enough to find its shard, and no other shard's permit has
// it.
func TestALeasedPermitNamesItsShard(t *testing.T) {
	inLeaseBubble(t, func(t *testing.T) {
		var machines []*slots
		spec := slotsSpec(newSlots(0), patterns.Leased(8, time.Hour), 0)
		spec.New = func(Origin) Machine[slotsConfig, slotsSnapshot] {
			machines = append(machines, newSlots(1<<20))
			return machines[len(machines)-1]
		}
		guards := guardsForLeases(t)
		const shards = 200
		g, err := SpawnSharded(guards, "slots", shards, spec, func(s *Sharded[slotsConfig, slotsSnapshot]) *Sharded[slotsConfig, slotsSnapshot] { return s })
		if err != nil {
			t.Fatal(err)
		}
		seen := map[uint64]bool{}
		for i, shard := range g.shards {
			leased, err := shard.Acquire(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			single, err := shard.AcquireFor(t.Context(), patterns.Request{Key: "k"})
			if err != nil {
				t.Fatal(err)
			}
			for _, id := range []uint64{leased.ID(), single.ID()} {
				if (id == leased.ID()) != (id&leasedBit != 0) || shardOf(id) != i || seen[id] {
					t.Fatalf("%x of shard %d", id, i)
				}
				seen[id] = true
				for _, other := range []int{(i + 1) % shards, (i + 7) % shards} { // which does not know it
					guards.system.Root.Send(g.shards[other].pid, Report{Permit: patterns.PermitID{ID: id}, Outcome: patterns.Failure})
				}
				guards.system.Root.Send(g.pid, Report{Permit: patterns.PermitID{ID: id}, Outcome: patterns.Failure})
			}
			synctest.Wait()
			if m := machines[i]; m.failures != 2 {
				t.Errorf("shard %d heard of %d failures", i, m.failures)
			}
			if shard.shell.totals().InFlight != 0 {
				t.Errorf("shard %d: %+v", i, shard.shell.totals())
			}
		}
		for i, m := range machines {
			if m.failures != 2 || m.tooMany != 0 {
				t.Errorf("shard %d heard of %d failures", i, m.failures)
			}
		}
	})
}
