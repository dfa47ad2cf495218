package pool_test

import (
	"fmt"
	"math/rand/v2"
	"os"
	"testing"
	"testing/synctest"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/bulwark-go/bulwark/actors/pool"
	"github.com/bulwark-go/bulwark/mailbox"
	"github.com/bulwark-go/bulwark/patterns/circuitbreaker"
)

// Members crash, hang, stop, and fill up, and so does the router; every request is
// answered exactly once, and no permit is lost.
func TestInChaosEveryRequestIsAnsweredOnceAndNoPermitIsLost(t *testing.T) {
	seeds := 30
	if os.Getenv("BULWARK_SOAK") != "" {
		seeds = 3000
	}
	for seed := range uint64(seeds) {
		t.Run(fmt.Sprint("seed ", seed), func(t *testing.T) {
			bubble(t, func(t *testing.T, k *kit) { chaos(t, k, rand.New(rand.NewPCG(seed, 1))) })
		})
	}
}

//bulwark:bubble
func chaos(t *testing.T, k *kit, rng *rand.Rand) {
	cfg := pool.Config{
		Size: 1 + rng.IntN(5), Timeout: time.Second, Pending: 20 + rng.IntN(100), NoRetry: rng.IntN(4) == 0, Respawn: 50 * time.Millisecond,
		Breaker: circuitbreaker.Config{ConsecutiveFailures: 1 + rng.IntN(4), OpenFor: 300 * time.Millisecond, Probes: 1 + rng.IntN(2)},
	}
	p, err := pool.Spawn(k.guards, "pool", member(mailbox.Config{Capacity: 1 + rng.IntN(10)}), cfg)
	if err != nil {
		t.Fatal(err)
	}
	k.pool = p
	router, _ := k.system.ProcessRegistry.Get(p.PID())
	restarts := 0
	for range 500 {
		switch i := int(k.n); rng.IntN(20) {
		case 0:
			k.ask(fail{i})
		case 1:
			k.ask(crash{i})
		case 2:
			k.ask(silent{i})
		case 3:
			k.ask(quit{i})
		case 4, 5, 6:
			k.ask(slow{time.Duration(rng.IntN(1500)) * time.Millisecond})
		case 7:
			k.ask(twice{i})
		case 8:
			k.system.Root.Send(p.PID(), crash{i})
		case 9, 10:
			time.Sleep(time.Duration(rng.IntN(200)) * time.Millisecond)
		case 11:
			synctest.Wait()
		case 12:
			if rng.IntN(10) == 0 {
				router.SendSystemMessage(p.PID(), &actor.Restart{})
				restarts++
			}
		default:
			k.ask(job{i})
		}
	}
	pass(time.Minute)
	for n := uint32(1); n <= k.n; n++ {
		if got := k.answers(n); len(got) != 1 {
			t.Errorf("request %d of %d: answers %v", n, k.n, got)
		}
	}
	s := k.snapshot()
	if s.InFlight != 0 || len(s.Members) != cfg.Size {
		t.Errorf("%+v", s)
	}
	for _, m := range s.Members {
		if b := k.breaker(m.Breaker); b.InFlight != 0 || b.Waiting != 0 || m.InFlight != 0 || m.PID == nil {
			t.Errorf("%+v, %+v", m, b.Counts)
		}
	}
	t.Logf("%d restarts of the router, %+v", restarts, s)
}
