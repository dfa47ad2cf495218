package exchange_test

import (
	"fmt"
	"math/rand/v2"
	"os"
	"testing"
	"testing/synctest"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/bulwark-go/bulwark/actors/exchange"
	"github.com/bulwark-go/bulwark/mailbox"
	"github.com/bulwark-go/bulwark/patterns/bulkhead"
	"github.com/bulwark-go/bulwark/patterns/circuitbreaker"
	"github.com/bulwark-go/bulwark/patterns/hedge"
	"github.com/bulwark-go/bulwark/patterns/retry"
	"github.com/bulwark-go/bulwark/patterns/timeout"
)

// A thousand exchanges, by askers that may be cancelled or restart, with callees that answer,
// fail, hang, answer late or twice, crash or stop: whoever asked and is still there is
// answered exactly once, no permit is lost, and no goroutine is left.
func TestUnderRandomFaultsEverybodyIsAnsweredOnceAndNoPermitIsLost(t *testing.T) {
	seeds := 10
	if os.Getenv("BULWARK_SOAK") != "" {
		seeds = 1000
	}
	for seed := range uint64(seeds) {
		t.Run(fmt.Sprint("seed ", seed), func(t *testing.T) {
			rng := rand.New(rand.NewPCG(seed, 11))
			bubble(t, exchange.Config{MaxInFlight: 1 + rng.IntN(400)}, func(t *testing.T, k *kit) { chaos(t, k, rng) })
		})
	}
}

// client asks, and remembers for what it has no answer. Instances share nothing.
type client struct {
	t    *testing.T
	sum  *sum
	open map[exchange.ID]bool
}

// sum is what the clients have seen together, each in its own turn, one at a time: the bubble
// has one client.
type sum struct{ asked, refused, answered, abandoned int }

func (a *client) Receive(c actor.Context) {
	switch m := c.Message().(type) {
	case turn:
		m(c)
	case *actor.Restarting:
		a.sum.abandoned += len(a.open)
	case exchange.Answered:
		a.took(m)
	}
}

func (a *client) took(m exchange.Answered) {
	if !a.open[m.ID] {
		a.t.Errorf("an answer that is not awaited: %+v", m)
	}
	delete(a.open, m.ID)
	a.sum.answered++
}

//bulwark:bubble
func chaos(t *testing.T, k *kit, rng *rand.Rand) {
	rooms := k.rooms(bulkhead.Config{MaxConcurrent: 1 + rng.IntN(50), MaxWaiting: rng.IntN(50), MaxWait: time.Second})
	breaker := k.breaker(circuitbreaker.Config{ConsecutiveFailures: 1 + rng.IntN(20), OpenFor: 50 * time.Millisecond})
	soon, err := timeout.Spawn(k.guards, "soon", timeout.Config{PerAttempt: 100 * time.Millisecond})
	must(t, soon, err)
	beside, err := hedge.Spawn(k.guards, "beside", hedge.Config{Delay: 50 * time.Millisecond})
	must(t, beside, err)
	guard := pipe(t, rooms, beside, k.retry(retry.Config{Backoff: retry.Constant(10 * time.Millisecond), RetryRejected: rng.IntN(2) == 0}), breaker, soon)

	dice := rand.New(rand.NewPCG(rng.Uint64(), 1)) // the callee's turns have their own
	var late []*actor.PID
	serve := func(c actor.Context) {
		if c.Sender() == nil {
			return
		}
		switch n := dice.IntN(20); {
		case n < 8:
			c.Respond("well")
		case n < 10:
			c.Respond("well")
			c.Respond("well, twice")
		case n < 12:
			c.Respond(errSick)
		case n < 14:
			late = append(late, c.Sender())
		case n < 15 && len(late) > 0:
			c.Send(late[0], "late")
			late = late[1:]
		case n < 16:
			panic("bug")
		}
	}
	opts := []actor.PropsOption{}
	if rng.IntN(2) == 0 {
		opts = append(opts, actor.WithMailbox(mailbox.MustNew()))
	}
	if rng.IntN(2) == 0 {
		opts = append(opts, k.once(exchange.OnceConfig{Capacity: 1 + rng.IntN(100)}).Attach)
	}
	callee := k.spawn(serve, opts...)
	seen, lives := &sum{}, 0
	pid := k.system.Root.Spawn(actor.PropsFromProducer(func() actor.Actor {
		lives++
		return &client{t: t, sum: seen, open: map[exchange.ID]bool{}}
	}, actor.WithReceiverMiddleware(k.x.EndOnRestart)))
	k.pids = append(k.pids, pid)

	for i := range 1000 {
		die, to := rng.IntN(300), callee
		k.system.Root.Send(pid, turn(func(c actor.Context) {
			a := c.Actor().(*client)
			seen.asked++
			opts := []exchange.Option{exchange.Within(time.Duration(1+i%700) * time.Millisecond)}
			if i%3 == 0 {
				opts = append(opts, exchange.Then(func(m exchange.Answered) { a.took(m) }))
			}
			id, err := k.x.Ask(c, guard, to, i, opts...)
			if err != nil {
				seen.refused++
				return
			}
			a.open[id] = true
			switch {
			case die < 10:
				k.x.Cancel(id)
			case die < 11:
				panic("bug")
			}
		}))
		if die == 299 {
			_ = k.system.Root.StopFuture(callee).Wait()
			callee = k.spawn(serve, opts...)
		}
		if rng.IntN(3) == 0 {
			time.Sleep(time.Duration(rng.IntN(20)) * time.Millisecond)
		}
	}
	time.Sleep(time.Minute)
	synctest.Wait()
	k.in(pid, func(c actor.Context) {
		if open := c.Actor().(*client).open; len(open) != 0 {
			t.Errorf("%d were not answered", len(open))
		}
	})
	if seen.asked != 1000 || seen.asked != seen.refused+seen.answered+seen.abandoned {
		t.Errorf("%+v in %d lives", *seen, lives)
	}
	s := k.snapshot()
	if s.InFlight != 0 || s.Asked != s.Answered+s.Abandoned || int(s.Asked) != seen.asked-seen.refused || int(s.Refused) != seen.refused {
		t.Errorf("%+v, clients %+v", s, *seen)
	}
	if r, _ := rooms.Snapshot(t.Context()); r.InFlight != 0 || r.Waiting != 0 {
		t.Errorf("%+v", r)
	}
	if b, _ := breaker.Snapshot(t.Context()); b.InFlight != 0 {
		t.Errorf("%+v", b)
	}
	t.Logf("%+v, %d lives, %+v", *seen, lives, s)
}
