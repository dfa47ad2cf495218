package bulkhead

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/bulwark-go/bulwark/actors"
	"github.com/bulwark-go/bulwark/actors/actorstest"
	"github.com/bulwark-go/bulwark/patterns"
	"github.com/bulwark-go/bulwark/patterns/internal/handletest"
)

// asker is an actor that asks once, and what it was told.
type asker struct {
	pid      *actor.PID
	answers  chan asker
	granted  int
	rejected error
	told     time.Time
}

//bulwark:bubble
func ask(b *Bulkhead, msg actors.Acquire) *asker {
	a := &asker{answers: make(chan asker, 9)}
	a.pid = b.System().Root.Spawn(actor.PropsFromFunc(func(c actor.Context) {
		switch m := c.Message().(type) {
		case *actor.Started:
			msg.Holder = c.Self()
			c.Request(b.PID(), msg)
		case actors.Granted:
			a.answers <- asker{granted: 1, told: time.Now()}
		case actors.Rejected:
			a.answers <- asker{rejected: m.Err, told: time.Now()}
		}
	}))
	return a.now()
}

// now returns what it has been told by now.
//
//bulwark:bubble
func (a *asker) now() *asker {
	synctest.Wait()
	for len(a.answers) > 0 {
		n := <-a.answers
		a.granted, a.rejected, a.told = a.granted+n.granted, n.rejected, n.told
	}
	return a
}

func TestRequestsByMessageWaitLikeAllOthers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := spawnRooms(t, actorstest.NewRegistry(t), queued)
		held := handletest.MustAcquire(t, b, patterns.Request{Weight: 2})
		began := time.Now()
		late, soon, in := ask(b, actors.Acquire{}), ask(b, actors.Acquire{Deadline: began.Add(time.Second)}), ask(b, actors.Acquire{})
		if full := ask(b, actors.Acquire{}); !isCause(full.rejected, CauseQueue) {
			t.Errorf("a full queue: %v", full.rejected)
		}
		if try := ask(b, actors.Acquire{NoWait: true}); !isCause(try.rejected, CauseWaiters) {
			t.Errorf("one that does not wait: %v", try.rejected)
		}
		time.Sleep(2 * time.Second)
		if soon.now(); !errors.Is(soon.rejected, actors.ErrExpired) || soon.told.Sub(began) < time.Second {
			t.Errorf("its own deadline: %v after %v", soon.rejected, soon.told.Sub(began))
		}
		another := ask(b, actors.Acquire{})
		time.Sleep(3*time.Second - time.Millisecond)
		if late.now().rejected != nil || in.now().rejected != nil {
			t.Error("told too early")
		}
		time.Sleep(2 * time.Millisecond)
		for _, a := range []*asker{late, in} {
			if a.now(); !isCause(a.rejected, CauseMaxWait) || a.told.Sub(began) < 5*time.Second {
				t.Errorf("%v after %v", a.rejected, a.told.Sub(began))
			}
		}
		held.Release()
		synctest.Wait()
		s := handletest.Settled(t, b)
		if another.now().granted != 1 || s.Waits.Count() != 1 || s.Waits.Max < 3*time.Second || s.Waits.Max > 3100*time.Millisecond || s.Active != 1 {
			t.Errorf("%+v, %+v", another, s)
		}
		for _, a := range []*asker{late, soon, in, another} {
			_ = b.System().Root.StopFuture(a.pid).Wait()
		}
		synctest.Wait()
		if s := handletest.Settled(t, b); s.Active != 0 || s.Waiting != 0 {
			t.Errorf("%+v", s)
		}
	})
}

func TestAQueueThatIsMadeLongerOrShorterKeepsWhoWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := spawnRooms(t, actorstest.NewRegistry(t), queued)
		held := handletest.MustAcquire(t, b, patterns.Request{Weight: 2})
		served := make(chan error, 9)
		wait := func() {
			go func() {
				p, err := b.Acquire(t.Context())
				served <- err
				p.Release()
			}()
			synctest.Wait()
		}
		for range 3 {
			wait()
		}
		set := func(n int) {
			t.Helper()
			if err := b.Reconfigure(t.Context(), with(queued, func(c *Config) {
				if c.MaxWaiting = n; n == 0 {
					c.MaxWait = 0
				}
			})); err != nil {
				t.Fatal(err)
			}
		}
		set(4)
		wait()
		set(0)
		wait()
		if s := handletest.Settled(t, b); s.Waiting != 4 || len(served) != 1 || !isCause(<-served, CauseSlots) {
			t.Errorf("%+v", s)
		}
		held.Release()
		for range 4 {
			if err := <-served; err != nil {
				t.Error(err)
			}
		}
	})
}

// Callers of one key wait for nobody else's slots, and have nobody else wait for theirs.
func TestEachPartitionHasAQueue(t *testing.T) {
	for name, mode := range map[string]patterns.Mode{"strict": patterns.Strict, "leased": patterns.Leased(8, 0)} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b := spawnRooms(t, actorstest.NewRegistry(t), with(lobbies, func(c *Config) { c.Mode = mode }))
				held := handletest.MustAcquire(t, b, patterns.Request{Key: "greedy", Weight: 2})
				first, second := ask(b, actors.Acquire{Key: "greedy"}), ask(b, actors.Acquire{Key: "greedy"})
				if full := ask(b, actors.Acquire{Key: "greedy"}); !isCause(full.rejected, CauseQueue) {
					t.Errorf("%v", full.rejected)
				}
				for _, key := range []string{"modest", ""} {
					p := handletest.MustAcquire(t, b, patterns.Request{Key: key, Weight: 2})
					a := ask(b, actors.Acquire{Key: key})
					p.Report(patterns.Success)
					if a.now().granted != 1 || first.now().granted != 0 {
						t.Errorf("%q: %+v", key, a)
					}
				}
				held.Report(patterns.Success)
				synctest.Wait()
				if s := handletest.Settled(t, b); first.now().granted != 1 || second.now().granted != 1 || s.Waiting != 0 || s.Active != 4 {
					t.Errorf("%+v, %+v, %+v", first, second, s)
				}
			})
		})
	}
}

// The successes of a lease are known late, but whoever waits for their slots gets them,
// also where each key has a queue.
func TestSlotsOfLeasesComeBackToWhoWaitsForThem(t *testing.T) {
	for name, c := range map[string]Config{
		"one queue": {MaxConcurrent: 32, MaxWaiting: 4, Mode: patterns.Leased(4, 0)},
		"by key":    {MaxConcurrent: 32, MaxWaiting: 4, MaxPartitions: 4, Mode: patterns.Leased(4, 0)},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b := spawnRooms(t, actorstest.NewRegistry(t), c)
				var permits []patterns.Permit
				for range 32 {
					p, err := b.Acquire(t.Context())
					if err != nil {
						t.Fatalf("%d: %v", len(permits), err)
					}
					permits = append(permits, p)
				}
				if s := handletest.Settled(t, b); s.Active != 32 || s.InFlight != 32 {
					t.Fatalf("%+v", s)
				}
				served := make(chan error, 1)
				ctx, cancel := context.WithTimeout(t.Context(), time.Second)
				defer cancel()
				go func() {
					p, err := b.Acquire(ctx)
					served <- err
					p.Release()
				}()
				synctest.Wait()
				permits[0].Report(patterns.Success)
				if err := <-served; err != nil {
					t.Error(err)
				}
				for i := range permits {
					permits[i].Report(patterns.Success)
				}
				time.Sleep(time.Second)
				synctest.Wait()
				if s := handletest.Settled(t, b); s.Active != 0 || s.Peak != 32 || s.Waiting != 0 {
					t.Errorf("%+v", s)
				}
			})
		})
	}
}

// Nobody is refused for want of slots that are only lent, and that nobody uses.
func TestATryGetsWhatIsLentAndNotUsed(t *testing.T) {
	for _, waiting := range []int{0, 3} {
		synctest.Test(t, func(t *testing.T) {
			guards := actorstest.NewRegistry(t)
			for i := range 30 { // which cell a goroutine comes to is not said
				b, err := Spawn(guards, fmt.Sprint(i), Config{MaxConcurrent: 100, MaxWaiting: waiting, Mode: patterns.Leased(8, 0)})
				if err != nil {
					t.Fatal(err)
				}
				n := 0
				for ; ; n++ {
					if _, err := b.TryAcquire(); err != nil {
						break
					}
					var wg sync.WaitGroup
					for range 4 {
						wg.Go(func() {
							p, _ := b.TryAcquire()
							p.Report(patterns.Success)
						})
					}
					wg.Wait()
				}
				if s := handletest.Settled(t, b); n != 100 || s.Active != 100 {
					t.Errorf("%d got slots, %d are taken", n, s.Active)
				}
			}
			ctx, cancel := context.WithCancel(t.Context())
			cancel()
			_ = guards.Shutdown(ctx) // with all of them out
		})
	}
}
