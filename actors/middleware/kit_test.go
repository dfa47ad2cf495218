package middleware_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/asynkron/protoactor-go/actor"
	"go.uber.org/goleak"

	"github.com/bulwark-go/bulwark/actors"
	"github.com/bulwark-go/bulwark/actors/actorstest"
	"github.com/bulwark-go/bulwark/actors/middleware"
	"github.com/bulwark-go/bulwark/mailbox"
	"github.com/bulwark-go/bulwark/patterns"
	"github.com/bulwark-go/bulwark/patterns/bulkhead"
	"github.com/bulwark-go/bulwark/patterns/circuitbreaker"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var errSick = errors.New("sick")

// What the test actor is told.
type (
	job    struct{ id int }         // answered with its id
	fail   struct{ with error }     // answered with the error
	sent   struct{ with error }     // answered with the error, by Send
	crash  struct{ with any }       // panics
	headed struct{ key string }     // answered with that header
	block  struct{ until chan int } // waits
)

// kit is an actor system in a bubble, and who asks in it.
type kit struct {
	t      *testing.T
	guards *actors.Registry
	system *actor.ActorSystem
	inbox  chan any
	me     *actor.PID
	pids   []*actor.PID

	mu       sync.Mutex
	answered map[uint32]int // how often, by the RequestId of the sender
	seen     []any          // what test actors got, besides what they answer
	lives    int
}

// SendUserMessage implements actor.Process.
func (k *kit) SendUserMessage(pid *actor.PID, msg any) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.answered[pid.GetRequestId()]++
	k.inbox <- actor.UnwrapEnvelopeMessage(msg)
}

// SendSystemMessage implements actor.Process.
func (k *kit) SendSystemMessage(*actor.PID, any) {}

// Stop implements actor.Process.
func (k *kit) Stop(*actor.PID) {}

// bubble runs f in a bubble with a kit.
//
//bulwark:bubble
func bubble(t *testing.T, f func(t *testing.T, k *kit)) {
	synctest.Test(t, func(t *testing.T) {
		guards := actorstest.NewRegistry(t)
		k := &kit{t: t, guards: guards, system: guards.System(), inbox: make(chan any, 10_000), answered: map[uint32]int{}}
		k.me, _ = k.system.ProcessRegistry.Add(k, "test")
		f(t, k)
		for _, pid := range k.pids {
			_ = k.system.Root.StopFuture(pid).Wait()
		}
		synctest.Wait()
	})
}

// spawn starts the test actor, with a mailbox that answers.
func (k *kit) spawn(opts ...actor.PropsOption) *actor.PID {
	return k.spawnFunc(k.receive, opts...)
}

func (k *kit) spawnFunc(f actor.ReceiveFunc, opts ...actor.PropsOption) *actor.PID {
	opts = append([]actor.PropsOption{actor.WithMailbox(mailbox.Producer(mailbox.Config{}))}, opts...)
	pid := k.system.Root.Spawn(actor.PropsFromFunc(f, opts...))
	k.pids = append(k.pids, pid)
	return pid
}

// child is spawnFunc for an actor that is restarted however often it fails.
func (k *kit) child(f actor.ReceiveFunc, opts ...actor.PropsOption) *actor.PID {
	opts = append([]actor.PropsOption{actor.WithMailbox(mailbox.Producer(mailbox.Config{}))}, opts...)
	born := make(chan *actor.PID, 1)
	k.spawnFunc(func(c actor.Context) {
		if _, ok := c.Message().(*actor.Started); ok {
			born <- c.Spawn(actor.PropsFromFunc(f, opts...))
		}
	}, actor.WithSupervisor(actor.NewRestartingStrategy()))
	return <-born
}

func (k *kit) receive(c actor.Context) {
	switch m := c.Message().(type) {
	case job:
		c.Respond(m.id)
	case fail:
		c.Respond(m.with)
	case sent:
		c.Send(c.Sender(), m.with)
	case crash:
		panic(m.with)
	case headed:
		c.Respond(c.MessageHeader().Get(m.key))
	case block:
		<-m.until
	default:
		k.mu.Lock()
		defer k.mu.Unlock()
		if _, ok := m.(*actor.Started); ok {
			k.lives++
			return
		}
		k.seen = append(k.seen, m)
	}
}

// tell sends msg with the test as sender.
func (k *kit) tell(pid *actor.PID, msgs ...any) {
	for _, msg := range msgs {
		k.system.Root.RequestWithCustomSender(pid, msg, k.me)
	}
}

// got returns everything that was answered up to now.
func (k *kit) got() (all []any) {
	synctest.Wait()
	for {
		select {
		case m := <-k.inbox:
			all = append(all, m)
		default:
			return all
		}
	}
}

// want compares the answers with what is wanted: values, or errors to match.
func (k *kit) want(want ...any) []any {
	k.t.Helper()
	got := k.got()
	if len(got) != len(want) {
		k.t.Fatalf("answers %v, want %v", got, want)
	}
	for i, w := range want {
		if !same(got[i], w) {
			k.t.Errorf("answer %d is %v, want %v", i, got[i], w)
		}
	}
	return got
}

func same(got, want any) bool {
	if target, ok := want.(error); ok {
		err, ok := got.(error)
		return ok && errors.Is(err, target)
	}
	return fmt.Sprint(got) == fmt.Sprint(want)
}

func (k *kit) breaker(cfg circuitbreaker.Config) *circuitbreaker.Breaker {
	return must[*circuitbreaker.Breaker](k.t)(circuitbreaker.Spawn(k.guards, "breaker", cfg))
}

func (k *kit) rooms(cfg bulkhead.Config) *bulkhead.Bulkhead {
	return must[*bulkhead.Bulkhead](k.t)(bulkhead.Spawn(k.guards, "rooms", cfg))
}

// oneRoom is a bulkhead for one, and its only permit, taken.
func (k *kit) oneRoom(cfg bulkhead.Config) (*bulkhead.Bulkhead, *patterns.Permit) {
	cfg.MaxConcurrent = 1
	rooms := k.rooms(cfg)
	p := must[patterns.Permit](k.t)(rooms.TryAcquire())
	return rooms, &p
}

func (k *kit) receiver(guard patterns.Guard, cfg middleware.ReceiveConfig, opts ...middleware.Option) actor.PropsOption {
	return must[*middleware.Receiver](k.t)(middleware.NewReceiver(guard, cfg, opts...)).Guard
}

func must[T any](t *testing.T) func(T, error) T {
	return func(v T, err error) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
}

// counts returns what the guard has counted, and checks that it balances.
func counts(t *testing.T, g interface {
	Name() string
	Inspect(context.Context) (any, error)
},
) patterns.Counts {
	t.Helper()
	var c patterns.Counts
	switch s := must[any](t)(g.Inspect(t.Context())).(type) {
	case bulkhead.Snapshot:
		c = s.Counts
	case circuitbreaker.Snapshot:
		c = s.Counts
	default:
		t.Fatalf("a %T", s)
	}
	if !c.Balanced() {
		t.Errorf("%s does not balance: %+v", g.Name(), c)
	}
	return c
}

// inspect returns what the first Receiver of the actor has done, and checks that it adds up.
func (k *kit) inspect(pid *actor.PID) middleware.Snapshot {
	k.t.Helper()
	s := must[middleware.Snapshot](k.t)(actors.Ask[middleware.Snapshot](k.t.Context(), k.system, pid, middleware.Inspect{}))
	if s.Asked != s.Admitted+s.Rejected+s.Expired+s.Abandoned+uint64(s.Stashed) {
		k.t.Errorf("does not add up: %+v", s)
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
