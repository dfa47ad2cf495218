package actors_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"reflect"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/bulwark-go/bulwark/actors"
	"github.com/bulwark-go/bulwark/actors/actorstest"
	"github.com/bulwark-go/bulwark/patterns"
	"github.com/bulwark-go/bulwark/supervisor/intensity"
)

// keys returns a key of each shard, in the order of the shards.
func (g *deskGuards) keys(t testing.TB) []string {
	t.Helper()
	keys := make([]string, g.Shards())
	for i, found := 0, 0; found < len(keys); i++ {
		if i > 1<<16 {
			t.Fatal("there are shards without keys")
		}
		key := "key" + strconv.Itoa(i)
		answer, err := g.Consult(t.Context(), deskPeek{key})
		if err != nil {
			t.Fatal(err)
		}
		if shard := answer.(deskAnswer).Shard; keys[shard] == "" {
			keys[shard] = key
			found++
		}
	}
	return keys
}

// used is what is in use in each shard.
func (g *deskGuards) used(t testing.TB) (used []int) {
	t.Helper()
	for _, key := range g.keys(t) {
		s := balanced(t)(g.Shard(key).Snapshot(t.Context()))
		sum := 0
		for _, n := range s.Used {
			sum += n
		}
		used = append(used, sum)
	}
	return used
}

func TestEachShardHasItsKeysToItself(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		guards := actorstest.NewRegistry(t)
		g := spawnDesks(t, guards, 4, deskConfig{Limit: 1, Order: patterns.Keyed, Waiting: 1})
		for i, m := range g.machines {
			if m.shard != (actors.Shard{Index: i, Of: 4}) {
				t.Errorf("machine %d was told %+v", i, m.shard)
			}
		}
		if g.Shards() != 4 || g.Name() != "desk" {
			t.Errorf("%q of %d shards", g.Name(), g.Shards())
		}
		in := newInbox(t, guards.System())
		keys := g.keys(t)
		permits := make([]patterns.Permit, len(keys))
		for i, key := range keys {
			permits[i] = acquire(t, g, patterns.Request{Key: key})
			if _, err := g.TryAcquireFor(patterns.Request{Key: key}); !errors.Is(err, errDeskFull) {
				t.Errorf("error %v", err)
			}
			in.ask(g.PID(), actors.Acquire{Ref: uint64(i), Key: key}) // waits
		}
		synctest.Wait()
		if used := g.used(t); !slices.Equal(used, []int{1, 1, 1, 1}) {
			t.Errorf("in use: %v", used)
		}
		for i, key := range keys {
			in.ask(g.PID(), actors.Consult{Question: deskPeek{key}})
			if a := nextAs[deskAnswer](t, in); a.Shard != i || a.Used != 1 {
				t.Errorf("%+v of %q", a, key)
			}
			permits[i].Report(patterns.Success)
			if granted := nextAs[actors.Granted](t, in); granted.Ref != uint64(i) {
				t.Errorf("granted %+v", granted)
			} else {
				in.ask(g.PID(), actors.Report{Permit: granted.Permit})
			}
		}
		synctest.Wait()
		if used := g.used(t); !slices.Equal(used, []int{0, 0, 0, 0}) {
			t.Errorf("in use: %v", used)
		}
		if got := g.snapshot(t); got.Counts.Granted != 8 || got.Success != 8 || got.Rejected != 4 || got.Repeated != 0 || got.Shards != 4 {
			t.Errorf("%+v", got)
		}
		// What is about no key is the first shard's, or that of the empty key.
		if _, err := g.Consult(t.Context(), deskBad{}); !errors.Is(err, errDeskBad) {
			t.Errorf("error %v", err)
		}
		p, err := g.Acquire(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if _, err := g.TryAcquire(); !errors.Is(err, errDeskFull) {
			t.Errorf("error %v", err)
		}
		p.Release()
	})
}

// Two shards give out permits of the same number: each must know its own, however they come
// back.
func TestAPermitComesBackToTheShardThatGrantedIt(t *testing.T) {
	for _, tt := range []struct {
		name string
		end  func(g *deskGuards, in *inbox, p patterns.PermitID)
	}{
		{"reported", func(g *deskGuards, in *inbox, p patterns.PermitID) { in.ask(g.PID(), actors.Report{Permit: p}) }},
		{"cancelled", func(g *deskGuards, in *inbox, p patterns.PermitID) { in.ask(g.PID(), actors.Cancel{Permit: p}) }},
		{"reported by its number alone", func(g *deskGuards, in *inbox, p patterns.PermitID) {
			in.ask(g.PID(), actors.Report{Permit: patterns.PermitID{ID: p.ID}})
		}},
		{"reported to the others, in vain, and then to the first", func(g *deskGuards, in *inbox, p patterns.PermitID) {
			for i := range 100 {
				key := "key" + strconv.Itoa(i)
				answer, err := g.Consult(context.Background(), deskPeek{key})
				if err == nil && answer.(deskAnswer).Shard != int(p.ID>>24&255) && g.Shard(key).PID() != g.PID() {
					in.ask(g.Shard(key).PID(), actors.Report{Permit: p})
				}
			}
			in.ask(g.PID(), actors.Report{Permit: p})
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				guards := actorstest.NewRegistry(t)
				g := spawnDesks(t, guards, 4, deskConfig{Limit: 10, Order: patterns.Keyed})
				in := newInbox(t, guards.System())
				var ids []patterns.PermitID
				for i, key := range g.keys(t) {
					if i%2 == 0 {
						p := acquire(t, g, patterns.Request{Key: key})
						ids = append(ids, patterns.PermitID{Epoch: 1, ID: p.ID()})
					} else {
						in.ask(g.PID(), actors.Acquire{Key: key})
						permit := nextAs[actors.Granted](t, in).Permit
						if permit.Epoch != 1 {
							t.Errorf("%+v is of another epoch", permit)
						}
						ids = append(ids, permit)
					}
				}
				want := []int{1, 1, 1, 1}
				for _, i := range []int{2, 3, 0, 1} {
					tt.end(g, in, ids[i])
					synctest.Wait()
					want[i] = 0
					if used := g.used(t); !slices.Equal(used, want) {
						t.Fatalf("in use: %v, want %v", used, want)
					}
				}
				if got := g.snapshot(t); got.InFlight != 0 || got.Stale != 0 {
					t.Errorf("%+v", got.Counts)
				}
			})
		})
	}
}

func TestAPermitOfNoShardEndsNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		guards := actorstest.NewRegistry(t)
		g := spawnDesks(t, guards, 3, deskConfig{Limit: 10, Order: patterns.Keyed})
		in := newInbox(t, guards.System())
		for _, key := range g.keys(t) {
			acquire(t, g, patterns.Request{Key: key})
		}
		bad := []uint64{1 << 24 * 3, 1<<32 | 200<<24 | 1, 1<<64 - 1, 1 << 63, 1<<32 | 1<<24, 0}
		for _, id := range bad {
			in.ask(g.PID(), actors.Report{Permit: patterns.PermitID{Epoch: 1<<64 - 1, ID: id}})
		}
		synctest.Wait()
		if got := g.snapshot(t); got.InFlight != 3 || got.Repeated != uint64(len(bad)) {
			t.Errorf("%+v", got.Counts)
		}
	})
}

func TestAReferenceIsCancelledInWhicheverShardItWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		guards := actorstest.NewRegistry(t)
		g := spawnDesks(t, guards, 4, deskConfig{Limit: 1, Order: patterns.Keyed, Waiting: 9})
		a, b := newInbox(t, guards.System()), newInbox(t, guards.System())
		for i, key := range g.keys(t) {
			acquire(t, g, patterns.Request{Key: key})
			a.ask(g.PID(), actors.Acquire{Ref: uint64(i), Key: key})
			b.ask(g.PID(), actors.Acquire{Ref: uint64(i), Key: key})
		}
		synctest.Wait()
		for ref := range uint64(4) {
			a.ask(g.PID(), actors.Cancel{Ref: ref})
			if r := nextAs[actors.Rejected](t, a); r.Ref != ref || !errors.Is(r.Err, actors.ErrCancelled) {
				t.Errorf("%+v", r)
			}
			a.ask(g.PID(), actors.Cancel{Ref: ref}) // again
		}
		synctest.Wait()
		if got := g.snapshot(t); got.Waiting != 4 || got.Rejected != 4 || len(a.got)+len(b.got) != 0 {
			t.Errorf("%+v", got.Counts)
		}
	})
}

func TestAHolderIsReleasedByAllShards(t *testing.T) {
	for _, how := range []string{"stops", "restarts", "is released"} {
		t.Run(how, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				guards := actorstest.NewRegistry(t)
				g := spawnDesks(t, guards, 4, deskConfig{Limit: 1, Order: patterns.Keyed, Waiting: 9})
				out := make(chan any, 100)
				root := guards.System().Root
				pid := root.Spawn(actor.PropsFromProducer(func() actor.Actor { return &worker{out} },
					actor.WithReceiverMiddleware(actors.ReleaseOnRestart(guards))))
				bystander := newInbox(t, guards.System())
				keys := g.keys(t)
				root.Send(pid, do(func(c actor.Context) {
					for _, key := range keys {
						c.Request(g.PID(), actors.Acquire{Key: key, Holder: c.Self()})
						c.Request(g.PID(), actors.Acquire{Key: key, Holder: c.Self()})
					}
				}))
				synctest.Wait()
				bystander.ask(g.PID(), actors.Acquire{Ref: 9, Key: keys[3]})
				synctest.Wait()
				if got := g.snapshot(t); got.InFlight != 4 || got.Waiting != 5 {
					t.Fatalf("%+v", got.Counts)
				}
				switch how {
				case "stops":
					_ = root.StopFuture(pid).Wait()
				case "restarts":
					root.Send(pid, crash{})
				default:
					root.Send(g.PID(), actors.Release{Holder: pid})
				}
				nextAs[actors.Granted](t, bystander)
				synctest.Wait()
				if used := g.used(t); !slices.Equal(used, []int{0, 0, 0, 1}) {
					t.Errorf("in use: %v", used)
				}
				if got := g.snapshot(t); got.Waiting != 0 || got.Reclaimed != 4 {
					t.Errorf("%+v", got.Counts)
				}
				if how != "stops" {
					_ = root.StopFuture(pid).Wait()
				}
			})
		})
	}
}

func TestCommandsReachEveryShard(t *testing.T) {
	for _, handle := range []bool{true, false} {
		t.Run(fmt.Sprintf("by handle %v", handle), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				guards := actorstest.NewRegistry(t)
				c := deskConfig{Limit: 1, Order: patterns.Keyed, Waiting: 1, Every: time.Hour}
				g := spawnDesks(t, guards, 4, c)
				in := newInbox(t, guards.System())
				command := func(msg any, call func() error) error {
					if handle {
						return call()
					}
					in.ask(g.PID(), msg)
					if r, ok := in.next(t).(actors.Refused); ok {
						return r.Err
					}
					return nil
				}
				keys := g.keys(t)
				for _, key := range keys {
					p := acquire(t, g, patterns.Request{Key: key})
					p.Report(patterns.Success)
				}
				reset := patterns.Operation{Kind: patterns.Reset}
				if err := command(actors.Operate{Operation: reset}, func() error { return g.Operate(t.Context(), reset) }); err != nil {
					t.Error(err)
				}
				for _, key := range keys { // at once, in every shard
					p, err := g.TryAcquireFor(patterns.Request{Key: key})
					if err != nil {
						t.Errorf("%q: error %v", key, err)
					}
					p.Report(patterns.Success)
				}
				c.Limit, c.Every = 2, 0
				if err := command(actors.Reconfigure{Config: c}, func() error { return g.Reconfigure(t.Context(), c) }); err != nil {
					t.Error(err)
				}
				synctest.Wait()
				for i, m := range g.machines {
					if m.cfg != c {
						t.Errorf("shard %d has %+v", i, m.cfg)
					}
				}
				bad := deskConfig{}
				if err := command(actors.Reconfigure{Config: bad}, func() error { return g.Reconfigure(t.Context(), bad) }); !errors.Is(err, errLimit) {
					t.Errorf("error %v", err)
				}
				unknown := patterns.Operation{Kind: patterns.ForceOpen}
				if err := command(actors.Operate{Operation: unknown}, func() error { return g.Operate(t.Context(), unknown) }); !errors.Is(err, actors.ErrUnsupported) {
					t.Errorf("error %v", err)
				}
				synctest.Wait()
				for i, m := range g.machines {
					if m.cfg != c {
						t.Errorf("shard %d has %+v", i, m.cfg)
					}
				}
			})
		})
	}
}

func TestAllShardsHaveOneSnapshot(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		guards := actorstest.NewRegistry(t)
		g := spawnDesks(t, guards, 4, deskConfig{Limit: 5, Order: patterns.Keyed})
		other := spawnSem(t, guards, "sem", 1, 1)
		in := newInbox(t, guards.System())
		want := map[string]int{}
		for i, key := range g.keys(t) {
			acquire(t, g, patterns.Request{Key: key, Weight: i + 1})
			want[key] = i + 1
		}
		same := func(how string, s deskSnapshot) {
			t.Helper()
			if s.Shards != 4 || !maps.Equal(s.Used, want) || s.InFlight != 4 || !s.Balanced() {
				t.Errorf("%s: %+v", how, s)
			}
		}
		same("through the handle", g.snapshot(t))
		in.ask(g.PID(), actors.Inspect{})
		same("by message", nextAs[deskSnapshot](t, in))
		guards.System().Root.Send(g.PID(), actors.Inspect{}) // to nobody
		var names []string
		for name, s := range guards.All() {
			names = append(names, name)
			if s, ok := s.(deskSnapshot); ok {
				same("of the registry", s)
			}
		}
		if !slices.Equal(names, []string{"desk", "sem"}) {
			t.Errorf("guards %v", names)
		}
		if found, ok := guards.Get("desk"); !ok || found != patterns.Guard(g) {
			t.Errorf("got %v", found)
		}
		if _, ok := guards.Get("desk#1"); ok {
			t.Error("a shard can be had by name")
		}
		// Rules that panic have no last word.
		for _, m := range g.machines[:3] {
			m.panicIn = "Snapshot"
		}
		ended, cancel := context.WithCancel(t.Context())
		cancel()
		_ = g.Stop(ended)
		if s, ok := g.Snapshot(t.Context()); !ok || s.Shards != 1 || s.Used[g.lastKey(want)] != 4 {
			t.Errorf("%+v, %v", s, ok)
		}
		_ = other
	})
}

// lastKey is the key of which most is in use.
func (*deskGuards) lastKey(used map[string]int) (last string) {
	for key, n := range used {
		if n > used[last] {
			last = key
		}
	}
	return last
}

func TestShardsThatAllPanicAtTheEndLeaveNoSnapshot(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		guards := actorstest.NewRegistry(t)
		g := spawnDesks(t, guards, 3, deskConfig{Limit: 5})
		for _, m := range g.machines {
			m.panicIn = "Snapshot"
		}
		if err := g.Stop(t.Context()); err != nil {
			t.Error(err)
		}
		if s, ok := g.Snapshot(t.Context()); ok {
			t.Errorf("%+v", s)
		}
	})
}

func TestShardsStopTogether(t *testing.T) {
	for _, shutdown := range []bool{false, true} {
		t.Run(fmt.Sprintf("with the registry %v", shutdown), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				guards := actorstest.NewRegistry(t)
				g := spawnDesks(t, guards, 4, deskConfig{Limit: 2, Order: patterns.Keyed, Waiting: 9})
				in := newInbox(t, guards.System())
				keys := g.keys(t)
				held := make([]patterns.Permit, 0, 8)
				for i, key := range keys {
					held = append(held, acquire(t, g, patterns.Request{Key: key}), acquire(t, g, patterns.Request{Key: key}))
					in.ask(g.PID(), actors.Acquire{Ref: uint64(i), Key: key})
				}
				synctest.Wait()
				for i := range 5 { // three are left: one in the third shard, two in the fourth
					held[i].Report(patterns.Success)
				}
				for range 2 {
					in.ask(g.PID(), actors.Report{Permit: nextAs[actors.Granted](t, in).Permit})
				}
				synctest.Wait()
				if granted := nextAs[actors.Granted](t, in); granted.Ref != 2 {
					t.Errorf("%+v", granted)
				} else {
					in.ask(g.PID(), actors.Report{Permit: granted.Permit})
				}
				ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
				defer cancel()
				var err error
				var wg sync.WaitGroup
				start := time.Now()
				wg.Go(func() {
					if shutdown {
						err = guards.Shutdown(ctx)
					} else {
						err = g.Stop(ctx)
					}
				})
				synctest.Wait()
				if r := nextAs[actors.Rejected](t, in); r.Ref != 3 || !errors.Is(r.Err, actors.ErrStopped) {
					t.Errorf("%+v", r)
				}
				for _, key := range keys { // at once, though some have nothing to wait for
					if _, err := g.AcquireFor(t.Context(), patterns.Request{Key: key}); !errors.Is(err, actors.ErrStopped) {
						t.Errorf("%q: error %v", key, err)
					}
				}
				wg.Wait()
				var left *actors.ShutdownError
				if !errors.As(err, &left) || !maps.Equal(left.InFlight, map[string]uint64{"desk": 3}) ||
					!errors.Is(err, context.DeadlineExceeded) || time.Since(start) != time.Minute {
					t.Errorf("error %v after %v", err, time.Since(start))
				}
				if !shutdown {
					if err := g.Stop(t.Context()); err != nil { // again
						t.Error(err)
					}
					spawnDesks(t, guards, 2, deskConfig{Limit: 1}) // the names are free
				}
			})
		})
	}
}

func TestShardsThatHaveNothingOutStopWithoutAnError(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		guards := actorstest.NewRegistry(t)
		g := spawnDesks(t, guards, 4, deskConfig{Limit: 2, Order: patterns.Keyed})
		held := acquire(t, g, patterns.Request{Key: g.keys(t)[2]})
		var wg sync.WaitGroup
		wg.Go(func() {
			if err := g.Stop(t.Context()); err != nil {
				t.Error(err)
			}
		})
		synctest.Wait()
		held.Report(patterns.Success)
		wg.Wait()
	})
}

// The first shard passes reports on, and so has to outlive the others.
func TestAShardThatStopsStillHearsOfItsPermitsByMessage(t *testing.T) {
	for _, shutdown := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			guards := actorstest.NewRegistry(t)
			g := spawnDesks(t, guards, 4, deskConfig{Limit: 2, Order: patterns.Keyed})
			in := newInbox(t, guards.System())
			var permits []patterns.PermitID
			for _, key := range g.keys(t) {
				in.ask(g.PID(), actors.Acquire{Key: key})
				permits = append(permits, nextAs[actors.Granted](t, in).Permit)
				in.ask(g.PID(), actors.Produce{Window: 1, Key: key})
				wantDemand(t, in, 1)
			}
			var wg sync.WaitGroup
			wg.Go(func() {
				stop := g.Stop
				if shutdown {
					stop = guards.Shutdown
				}
				if err := stop(t.Context()); err != nil {
					t.Error(err)
				}
			})
			synctest.Wait()
			nextAs[actors.Rejected](t, in) // of the last standing order
			for i, p := range permits {
				in.ask(g.PID(), actors.Report{Permit: p})
				in.ask(g.PID(), actors.Done{N: 1})
				synctest.Wait()
				if got := g.snapshot(t); got.InFlight != uint64(6-2*i) {
					t.Errorf("%+v", got.Counts)
				}
			}
			wg.Wait()
		})
	}
}

func TestOneShardMayFailWithoutTheOthers(t *testing.T) {
	for _, dead := range []int{0, 2} {
		t.Run(strconv.Itoa(dead), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				guards := actorstest.NewRegistry(t, actors.WithIntensity(intensity.Config{Restarts: intensity.Never}))
				g := spawnDesks(t, guards, 4, deskConfig{Limit: 1, Order: patterns.Keyed, Waiting: 9})
				keys := g.keys(t)
				for _, key := range keys {
					acquire(t, g, patterns.Request{Key: key})
				}
				g.machines[dead].panicIn = "Acquire"
				if _, err := g.AcquireFor(t.Context(), patterns.Request{Key: keys[dead]}); !errors.Is(err, actors.ErrFailed) {
					t.Errorf("error %v", err)
				}
				actorstest.WantEvents(t, guards, actorstest.Is(func(e actors.GaveUp) bool { return e.Name == "desk" }))
				synctest.Wait()
				for i, key := range keys {
					_, err := g.TryAcquireFor(patterns.Request{Key: key})
					if i == dead && err != nil || i != dead && !errors.Is(err, errDeskFull) {
						t.Errorf("shard %d: error %v", i, err)
					}
				}
				if n := g.Unguarded(); n != 1 {
					t.Errorf("%d unguarded", n)
				}
				if got := g.snapshot(t); got.Shards != 4 || got.InFlight != 4 {
					t.Errorf("%+v", got)
				}
				// The name is taken as long as any of them lives.
				var made []*desk
				spec := deskSpec(deskConfig{Limit: 1, Order: patterns.Keyed, Waiting: 9}, &made)
				wrap := func(s *actors.Sharded[deskConfig, deskSnapshot]) *deskGuards { return &deskGuards{s, made} }
				if _, err := actors.SpawnSharded(guards, "desk", 4, spec, wrap); !errors.Is(err, actors.ErrNameTaken) {
					t.Errorf("error %v", err)
				}
				if same, err := actors.GetOrSpawnSharded(guards, "desk", 4, spec, wrap); err != nil || same != g {
					t.Errorf("got %v, error %v", same, err)
				}
				ended, cancel := context.WithCancel(t.Context())
				cancel()
				_ = g.Stop(ended)
				again, err := actors.GetOrSpawnSharded(guards, "desk", 4, spec, wrap)
				if err != nil || again == g {
					t.Fatalf("got %v, error %v", again, err)
				}
				acquire(t, again, patterns.Request{Key: "k"})
			})
		})
	}
}

func TestAShardThatRestartsKeepsWhatIsItsOwn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		guards := actorstest.NewRegistry(t)
		g := spawnDesks(t, guards, 3, deskConfig{Limit: 1, Order: patterns.Keyed, Waiting: 9})
		in := newInbox(t, guards.System())
		keys := g.keys(t)
		for i, key := range keys {
			in.ask(g.PID(), actors.Acquire{Ref: uint64(i), Key: key, Holder: in.pid})
		}
		ids := map[uint64]patterns.PermitID{}
		for range keys {
			granted := nextAs[actors.Granted](t, in)
			ids[granted.Ref] = granted.Permit
		}
		for i, key := range keys {
			actorstest.Crash(t, g.Shard(key), actorstest.At(actors.Report{}))
			in.ask(g.PID(), actors.Report{Permit: patterns.PermitID{ID: ids[uint64(i)].ID}}) // it ends all the same
			synctest.Wait()
			actorstest.WantEvents(t, guards, actorstest.Is(func(e actors.Restarted) bool { return e.Name == "desk" }))
		}
		if got := g.snapshot(t); got.Restarts != 3 || got.InFlight != 0 || got.Reclaimed != 3 {
			t.Errorf("%+v", got)
		}
		in.stop(t)
	})
}

func TestNamesOfShardsAreTaken(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		guards := actorstest.NewRegistry(t)
		taken := spawnSem(t, guards, "desk#2", 1, 1)
		var made []*desk
		cfg := deskConfig{Limit: 1}
		spec := deskSpec(cfg, &made)
		wrap := func(s *actors.Sharded[deskConfig, deskSnapshot]) *deskGuards { return &deskGuards{s, made} }
		for _, n := range []int{0, -1, 257} {
			if _, err := actors.SpawnSharded(guards, "desk", n, spec, wrap); !errors.Is(err, actors.ErrUnsupported) {
				t.Errorf("%d shards: error %v", n, err)
			}
		}
		if _, err := actors.SpawnSharded(guards, "desk", 3, spec, wrap); !errors.Is(err, actors.ErrNameTaken) || !strings.Contains(err.Error(), "desk#2") {
			t.Errorf("error %v", err)
		}
		if _, ok := guards.Get("desk"); ok {
			t.Error("half a guard was spawned")
		}
		if err := taken.Stop(t.Context()); err != nil {
			t.Error(err)
		}
		g := spawnDesks(t, guards, 3, cfg)
		single := func(t *actors.Typed[deskConfig, deskSnapshot]) *deskGuard { return &deskGuard{t, nil} }
		for _, name := range []string{"desk", "desk#1", "desk#2"} {
			if _, err := actors.Spawn(guards, name, spec, single); !errors.Is(err, actors.ErrNameTaken) {
				t.Errorf("%s: error %v", name, err)
			}
		}
		if _, err := actors.GetOrSpawn(guards, "desk#1", spec, single); !errors.Is(err, actors.ErrNameTaken) {
			t.Errorf("error %v", err)
		}
		if _, err := actors.GetOrSpawnSharded(guards, "desk#1", 1, spec, wrap); !errors.Is(err, actors.ErrNameTaken) {
			t.Errorf("error %v", err)
		}
		if _, err := actors.GetOrSpawn(guards, "desk", spec, single); !errors.Is(err, actors.ErrConflict) { // another type
			t.Errorf("error %v", err)
		}
		if _, err := actors.GetOrSpawnSharded(guards, "desk", 3, deskSpec(deskConfig{Limit: 2}, &made), wrap); !errors.Is(err, actors.ErrConflict) {
			t.Errorf("error %v", err)
		}
		if same, err := actors.GetOrSpawnSharded(guards, "desk", 3, spec, wrap); err != nil || same != g {
			t.Errorf("got %v, error %v", same, err)
		}
	})
}

func TestShardsRunUnderAParent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		guards := actorstest.NewRegistry(t)
		parent := newInbox(t, guards.System())
		spawned := make(chan *deskGuards, 1)
		guards.System().Root.Send(parent.pid, do(func(c actor.Context) {
			// A child that has a shard's name: none of them is spawned.
			if _, err := c.SpawnNamed(actor.PropsFromFunc(func(actor.Context) {}), "desk#1"); err != nil {
				t.Error(err)
			}
			var made []*desk
			_, err := actors.SpawnSharded(guards, "desk", 3, deskSpec(deskConfig{Limit: 1}, &made), func(s *actors.Sharded[deskConfig, deskSnapshot]) *deskGuards {
				return &deskGuards{s, made}
			}, actors.Under(c))
			if err == nil {
				t.Error("spawned over another actor")
			}
			if _, ok := guards.Get("desk"); ok {
				t.Error("it has a name all the same")
			}
			c.Stop(c.Children()[0])
			for _, child := range c.Children() {
				c.Stop(child)
			}
		}))
		synctest.Wait()
		guards.System().Root.Send(parent.pid, do(func(c actor.Context) {
			spawned <- spawnDesks(t, guards, 3, deskConfig{Limit: 1, Order: patterns.Keyed}, actors.Under(c))
		}))
		g := <-spawned
		for i, key := range g.keys(t) {
			want := parent.pid.Id + "/desk"
			if i > 0 {
				want += "#" + strconv.Itoa(i)
			}
			if id := g.Shard(key).PID().Id; id != want {
				t.Errorf("shard %d is %s, want %s", i, id, want)
			}
			acquire(t, g, patterns.Request{Key: key})
		}
		parent.stop(t)
		for _, key := range []string{"a", "b", "c", "d"} {
			if _, err := g.AcquireFor(t.Context(), patterns.Request{Key: key}); !errors.Is(err, actors.ErrStopped) {
				t.Errorf("error %v", err)
			}
		}
		if got := g.snapshot(t); got.Shards != 3 || got.InFlight != 3 {
			t.Errorf("%+v", got)
		}
		spawnDesks(t, guards, 3, deskConfig{Limit: 1}) // the names are free
	})
}

func TestAcquireThenOfAShard(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		guards := actorstest.NewRegistry(t)
		g := spawnDesks(t, guards, 16, deskConfig{Limit: 1})
		in := newInbox(t, guards.System())
		permits := make(chan patterns.Permit, 1)
		guards.System().Root.Send(in.pid, do(func(c actor.Context) {
			actors.AcquireThen(c, g, func(p patterns.Permit, err error) {
				if err != nil {
					t.Error(err)
				}
				permits <- p
			})
		}))
		p := <-permits
		if got := g.snapshot(t); got.InFlight != 1 {
			t.Errorf("%+v", got)
		}
		if !p.Report(patterns.Success) {
			t.Error("it did not count")
		}
		if got := g.snapshot(t); got.InFlight != 0 || got.Repeated != 0 {
			t.Errorf("%+v", got)
		}
	})
}

// A producer has its permits of whichever shards it has produced for.
func TestAProducerOfSeveralShards(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		guards := actorstest.NewRegistry(t)
		g := spawnDesks(t, guards, 4, deskConfig{Limit: 3, Order: patterns.Keyed})
		p, stranger := newInbox(t, guards.System()), newInbox(t, guards.System())
		keys := g.keys(t)
		want := make([]int, len(keys))
		for _, i := range []int{2, 0, 3, 1} {
			p.ask(g.PID(), actors.Produce{Ref: uint64(i), Window: 5, Key: keys[i]})
			if d := nextAs[actors.Demand](t, p); d != (actors.Demand{Ref: uint64(i), N: 3}) {
				t.Errorf("%+v", d)
			}
			wantDemand(t, p, 0)
			want[i] = 3
			if used := g.used(t); !slices.Equal(used, want) {
				t.Errorf("in use: %v, want %v", used, want)
			}
			if got := g.snapshot(t); got.Waiting != 1 { // the orders before are over
				t.Errorf("%+v", got.Counts)
			}
		}
		p.ask(g.PID(), actors.Done{N: 4}) // three of the first shard, one of the second, for which it still produces
		wantDemand(t, p, 1)
		if used := g.used(t); !slices.Equal(used, []int{0, 3, 3, 3}) {
			t.Errorf("in use: %v", used)
		}
		p.ask(g.PID(), actors.Produce{Window: 0, Key: keys[1]})
		p.ask(g.PID(), actors.Done{N: 11}) // of nine
		stranger.ask(g.PID(), actors.Done{N: 5})
		wantDemand(t, p, 0)
		if got := g.snapshot(t); got.InFlight != 0 || got.Repeated != 2+5 || got.Success != 13 || got.Waiting != 0 {
			t.Errorf("%+v", got.Counts)
		}
		p.ask(g.PID(), actors.Produce{Window: 3, Key: keys[2]})
		wantDemand(t, p, 3)
		p.stop(t)
		synctest.Wait()
		if got := g.snapshot(t); got.InFlight != 0 || got.Reclaimed != 3 {
			t.Errorf("%+v", got.Counts)
		}
	})
}

func TestOneShardIsAGuardLikeAnyOther(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		guards := actorstest.NewRegistry(t)
		g := spawnDesks(t, guards, 1, deskConfig{Limit: 1, Spends: true})
		in := newInbox(t, guards.System())
		p := acquire(t, g, patterns.Request{Key: "a"})
		if !p.Report(patterns.Success) {
			t.Error("did not count")
		}
		if err := g.Spend("b", 1); err != nil {
			t.Error(err)
		}
		in.ask(g.PID(), actors.Produce{Window: 1, Key: "c"})
		wantDemand(t, in, 1)
		in.ask(g.PID(), actors.Done{N: 2})
		wantDemand(t, in, 1)
		in.ask(g.PID(), actors.Inspect{})
		if s := nextAs[deskSnapshot](t, in); s.Shards != 1 || s.Repeated != 1 {
			t.Errorf("%+v", s)
		}
		if s := g.snapshot(t); s.Shards != 1 || s.Success != 3 {
			t.Errorf("%+v", s)
		}
	})
}

// Sharded embeds its first shard, and each method of that which is about a key, or about
// all, has to be its own: one that is promoted would be about the first shard only.
func TestAShardedGuardPromotesNothingThatIsAboutAllShards(t *testing.T) {
	promoted := map[string]bool{
		"Name": true, "Pattern": true, "PID": true, "System": true, "Terms": true, "Validate": true, // the same for all
		"Settle": true, "Release": true, // of the first shard's permits
		"Plan": true, "Tell": true, "Absent": true, "Gone": true, // for policies, which have no shards
	}
	typ := reflect.TypeFor[*actors.Sharded[deskConfig, deskSnapshot]]()
	for i := range typ.NumMethod() {
		m := typ.Method(i)
		file, _ := runtime.FuncForPC(m.Func.Pointer()).FileLine(m.Func.Pointer())
		if inherited := strings.Contains(file, "autogenerated"); inherited != promoted[m.Name] {
			t.Errorf("%s: inherited %v", m.Name, inherited)
		}
	}
}
