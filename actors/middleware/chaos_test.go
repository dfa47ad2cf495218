package middleware_test

import (
	"fmt"
	"math/rand/v2"
	"os"
	"testing"
	"testing/synctest"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/bulwark-go/bulwark/actors/middleware"
	"github.com/bulwark-go/bulwark/patterns"
	"github.com/bulwark-go/bulwark/patterns/bulkhead"
	"github.com/bulwark-go/bulwark/patterns/circuitbreaker"
)

// numbered asks, as order does, and says which order it is.
type numbered struct {
	n   int
	msg any
}

// An actor with a Receiver in front of it asks another under a breaker; either of them
// crashes, hangs, restarts; everybody who asks is answered, and no permit is lost.
func TestInChaosEverybodyIsAnsweredOnceAndNoPermitIsLost(t *testing.T) {
	seeds := 40
	if os.Getenv("BULWARK_SOAK") != "" {
		seeds = 4000
	}
	for seed := range uint64(seeds) {
		t.Run(fmt.Sprint("seed ", seed), func(t *testing.T) {
			bubble(t, func(t *testing.T, k *kit) { chaos(t, k, rand.New(rand.NewPCG(seed, 7))) })
		})
	}
}

//bulwark:bubble
func chaos(t *testing.T, k *kit, rng *rand.Rand) {
	policy := middleware.ReceiveConfig{}
	if rng.IntN(3) > 0 {
		policy = middleware.ReceiveConfig{Refused: middleware.Stash, Stash: 1 + rng.IntN(30), TTL: time.Duration(1+rng.IntN(2000)) * time.Millisecond}
	}
	rooms := k.rooms(bulkhead.Config{MaxConcurrent: 1, MaxWaiting: rng.IntN(3)})
	b := k.breaker(circuitbreaker.Config{ConsecutiveFailures: 1 + rng.IntN(5), OpenFor: 100 * time.Millisecond, Probes: 1})
	target := k.target()
	to := k.guarded(target, b, middleware.RequestConfig{
		Timeout: 500 * time.Millisecond, Wait: time.Duration(rng.IntN(3)) * 50 * time.Millisecond, Pending: 1 + rng.IntN(20),
	})
	pid := k.child(func(c actor.Context) {
		switch m := c.Message().(type) {
		case numbered:
			to.Request(c, m.msg, func(any, error) {
				if m.n%23 == 0 {
					panic("bug")
				}
				c.Respond(m.n)
			})
		case crash:
			panic(m.with)
		}
	}, k.receiver(rooms, policy))
	process := mustProcess(k, pid)
	asked := 0
	ask := func(msg any) {
		asked++
		k.system.Root.RequestWithCustomSender(pid, msg, &actor.PID{Address: k.me.Address, Id: k.me.Id, RequestId: uint32(asked)})
	}
	var held []patterns.Permit
	for range 400 {
		switch rng.IntN(14) {
		case 0:
			ask(crash{"bug"})
		case 1:
			ask(numbered{asked, silent{}})
		case 2:
			ask(numbered{asked, crash{"bug"}})
		case 3:
			ask(numbered{asked, fail{errSick}})
		case 4:
			ask(numbered{asked, twice{}})
		case 5:
			if p, err := rooms.TryAcquire(); err == nil {
				held = append(held, p)
			}
		case 6, 7:
			for ; len(held) > 0; held = held[1:] {
				held[0].Report(patterns.Success)
			}
		case 8:
			time.Sleep(time.Duration(rng.IntN(100)) * time.Millisecond)
		case 9:
			synctest.Wait()
		case 10:
			if rng.IntN(10) == 0 {
				process.SendSystemMessage(pid, &actor.Restart{})
			}
		default:
			ask(numbered{asked, job{asked}})
		}
	}
	for _, p := range held {
		p.Report(patterns.Success)
	}
	pass(time.Minute)
	if got := k.got(); len(got) != asked {
		t.Errorf("%d answers to %d messages", len(got), asked)
	}
	for n := range asked {
		if k.answered[uint32(n+1)] != 1 {
			t.Errorf("message %d: %d answers", n+1, k.answered[uint32(n+1)])
		}
	}
	if s := k.inspect(pid); s.Stashed != 0 || s.Asked != uint64(asked) {
		t.Errorf("%d asked, %+v", asked, s)
	}
	for _, c := range []patterns.Counts{counts(t, rooms), counts(t, b)} {
		if c.InFlight != 0 || c.Waiting != 0 {
			t.Errorf("%+v", c)
		}
	}
}
