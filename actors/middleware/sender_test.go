package middleware_test

import (
	"errors"
	"testing"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/bulwark-go/bulwark/actors/middleware"
	"github.com/bulwark-go/bulwark/patterns"
	"github.com/bulwark-go/bulwark/patterns/bulkhead"
)

func TestWhatIsSentIsGuardedAndRepliesPass(t *testing.T) {
	bubble(t, func(t *testing.T, k *kit) {
		rooms := k.rooms(bulkhead.Config{MaxConcurrent: 1})
		s := must[*middleware.Sender](t)(middleware.NewSender(rooms, middleware.Only(func(m any) bool { return m != "free" })))
		var refused []error
		relay := k.spawnFunc(func(c actor.Context) {
			switch m := c.Message().(type) {
			case order:
				c.Request(k.me, m.msg) // to the sender: it passes
				c.Send(k.pids[0], m.msg)
				c.RequestWithCustomSender(k.pids[0], m.msg, k.me)
			case *middleware.RejectedError:
				refused = append(refused, m)
			}
		}, actor.WithSenderMiddleware(s.Middleware))
		k.pids = append([]*actor.PID{k.target()}, k.pids...)
		target := k.pids[0]

		k.tell(relay, order{job{1}})
		k.want(job{1}, 1)
		if c := counts(t, rooms); c.Ignored != 2 || c.InFlight != 0 {
			t.Errorf("%+v", c)
		}
		p := must[patterns.Permit](t)(rooms.TryAcquire())
		k.tell(relay, order{job{2}}, order{"free"})
		got := k.want(job{2}, patterns.ErrRejected, "free")
		if e, ok := got[1].(*middleware.RejectedError); !ok || !e.Actor.Equal(target) || e.Message != (job{2}) {
			t.Errorf("%#v", got[1])
		}
		if len(refused) != 1 || !errors.Is(refused[0], bulkhead.ErrFull) {
			t.Errorf("the sending actor got %v", refused)
		}
		p.Release()
		if c := counts(t, rooms); c.InFlight != 0 {
			t.Errorf("%+v", c)
		}
	})
	if _, err := middleware.NewSender(nil); !errors.Is(err, patterns.ErrNilGuard) {
		t.Errorf("error %v", err)
	}
}

func TestARootContextMayBeGuardedToo(t *testing.T) {
	bubble(t, func(t *testing.T, k *kit) {
		rooms, p := k.oneRoom(bulkhead.Config{})
		defer p.Release()
		s := must[*middleware.Sender](t)(middleware.NewSender(rooms))
		root := k.system.Root.Copy().WithSenderMiddleware(s.Middleware)
		pid := k.target()
		root.Send(pid, job{1}) // nobody to answer
		root.RequestWithCustomSender(pid, job{1}, k.me)
		k.want(patterns.ErrRejected)
	})
}
