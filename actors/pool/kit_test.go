package pool_test

import (
	"errors"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/asynkron/protoactor-go/actor"
	"go.uber.org/goleak"

	"github.com/bulwark-go/bulwark/actors"
	"github.com/bulwark-go/bulwark/actors/actorstest"
	"github.com/bulwark-go/bulwark/actors/pool"
	"github.com/bulwark-go/bulwark/mailbox"
	"github.com/bulwark-go/bulwark/patterns/circuitbreaker"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var errSick = errors.New("sick")

// What members are told. Each is answered with the member's id unless it says otherwise.
type (
	job    struct{ id int }
	fail   struct{ id int }         // answered with errSick
	crash  struct{ id int }         // panics
	silent struct{ id int }         // not answered
	twice  struct{ id int }         // answered twice
	quit   struct{ id int }         // the member stops
	block  struct{ until chan int } // waits, and is answered
	slow   struct{ by time.Duration }
)

// kit is a pool in a bubble, and who asks it.
type kit struct {
	t      *testing.T
	guards *actors.Registry
	system *actor.ActorSystem
	pool   *pool.Pool

	mu  sync.Mutex
	got map[uint32][]any // replies by request
	n   uint32
	me  *actor.PID
}

// SendUserMessage implements actor.Process.
func (k *kit) SendUserMessage(pid *actor.PID, msg any) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.got[pid.GetRequestId()] = append(k.got[pid.GetRequestId()], actor.UnwrapEnvelopeMessage(msg))
}

// SendSystemMessage implements actor.Process.
func (k *kit) SendSystemMessage(*actor.PID, any) {}

// Stop implements actor.Process.
func (k *kit) Stop(*actor.PID) {}

// bubble runs f in a bubble.
//
//bulwark:bubble
func bubble(t *testing.T, f func(t *testing.T, k *kit)) {
	synctest.Test(t, func(t *testing.T) {
		guards := actorstest.NewRegistry(t)
		k := &kit{t: t, guards: guards, system: guards.System(), got: map[uint32][]any{}}
		k.me, _ = k.system.ProcessRegistry.Add(k, "test")
		f(t, k)
		if k.pool != nil {
			if err := k.pool.Stop(t.Context()); err != nil {
				t.Error(err)
			}
		}
		synctest.Wait()
	})
}

func (k *kit) spawn(cfg pool.Config, opts ...pool.Option) {
	k.t.Helper()
	p, err := pool.Spawn(k.guards, "pool", member(mailbox.Config{}), cfg, opts...)
	if err != nil {
		k.t.Fatal(err)
	}
	k.pool = p
}

// member returns props of a member.
//
//bulwark:bubble
func member(mb mailbox.Config) *actor.Props {
	return actor.PropsFromFunc(func(c actor.Context) {
		switch m := c.Message().(type) {
		case job:
			c.Respond(c.Self().Id)
		case fail:
			c.Respond(errSick)
		case crash:
			panic("bug")
		case twice:
			c.Respond(c.Self().Id)
			c.Respond(errSick)
		case quit:
			c.Stop(c.Self())
		case slow:
			time.Sleep(m.by)
			c.Respond(c.Self().Id)
		case block:
			<-m.until
			c.Respond(c.Self().Id)
		}
	}, actor.WithMailbox(mailbox.Producer(mb)))
}

// ask sends msg to the pool and returns the number of the request.
func (k *kit) ask(msg any) uint32 {
	k.n++
	k.system.Root.RequestWithCustomSender(k.pool.PID(), msg, &actor.PID{Address: k.me.Address, Id: k.me.Id, RequestId: k.n})
	return k.n
}

// answers returns what came for the request up to now.
func (k *kit) answers(n uint32) []any {
	synctest.Wait()
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.got[n]
}

// want checks that the request got one answer: a value, or an error that matches.
func (k *kit) want(n uint32, want any) any {
	k.t.Helper()
	got := k.answers(n)
	if len(got) != 1 {
		k.t.Fatalf("request %d: answers %v, want %v", n, got, want)
	}
	if target, ok := want.(error); ok {
		if err, ok := got[0].(error); !ok || !errors.Is(err, target) {
			k.t.Errorf("request %d: %v, want %v", n, got[0], want)
		}
	} else if got[0] != want {
		k.t.Errorf("request %d: %v, want %v", n, got[0], want)
	}
	return got[0]
}

// snapshot returns the pool's, and checks that it adds up.
func (k *kit) snapshot() pool.Snapshot {
	k.t.Helper()
	s, err := k.pool.Snapshot(k.t.Context())
	if err != nil {
		k.t.Fatal(err)
	}
	if s.Asked != s.Refused+s.Answered+s.Failed+s.Abandoned+s.Told+uint64(s.InFlight) {
		k.t.Errorf("does not add up: %+v", s)
	}
	return s
}

// breaker returns the snapshot of a member's breaker, and checks that it balances.
func (k *kit) breaker(name string) circuitbreaker.Snapshot {
	k.t.Helper()
	b, ok := circuitbreaker.Get(k.guards, name)
	if !ok {
		k.t.Fatalf("no breaker %q", name)
	}
	s, _ := b.Snapshot(k.t.Context())
	if !s.Balanced() {
		k.t.Errorf("%s does not balance: %+v", name, s)
	}
	return s
}

// pass lets time pass.
//
//bulwark:bubble
func pass(d time.Duration) {
	time.Sleep(d)
	synctest.Wait()
}
