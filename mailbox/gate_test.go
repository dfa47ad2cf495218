package mailbox

import (
	"errors"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"

	"github.com/asynkron/protoactor-go/actor"
)

var errShut = errors.New("shut")

func shut(m *Combining, f *fake, pass int) {
	m.PostSystemMessage(Gate{Refuse: errShut, Pass: pass})
	f.run()
}

func TestAGateRefusesWhatWaitsAndWhatComes(t *testing.T) {
	both(t, func(t *testing.T, inline bool) {
		m, f := newFake(Config{Inline: inline})
		m.PostSystemMessage(&actor.SuspendMailbox{})
		f.run()
		post(t, m, "waits", Ordinary)
		shut(m, f, 0)
		f.want(t, "refuse(shut)")
		if err := m.Post(node("comes"), Ordinary); !errors.Is(err, errShut) {
			t.Errorf("got %v", err)
		}
		if m.TryEnter() {
			t.Error("entered a suspended mailbox")
		}
		m.PostSystemMessage(&actor.ResumeMailbox{})
		f.run()
		if m.TryEnter() {
			t.Error("entered through a gate")
		}
		if err := m.Post(node("comes"), Ordinary); !errors.Is(err, errShut) {
			t.Errorf("resumed: got %v", err)
		}
		if s := f.stats(m); s.Refused != 3 || s.Depth != 0 {
			t.Errorf("stats %+v", s)
		}
		m.PostSystemMessage(Gate{})
		f.run()
		post(t, m, "served", Ordinary)
		f.run()
		f.want(t, "served")
		if !m.TryEnter() {
			t.Fatal("not idle")
		}
		m.Exit()
	})
}

func TestAGateDoesNotConcernUrgentSystemAndPoison(t *testing.T) {
	both(t, func(t *testing.T, inline bool) {
		m, f := newFake(Config{Inline: inline})
		m.PostSystemMessage(&actor.SuspendMailbox{})
		f.run()
		m.PostUserMessage(&actor.PoisonPill{})
		post(t, m, "before", Ordinary)
		m.PostUserMessage(&actor.PoisonPill{})
		post(t, m, urgent("u1"), Urgent)
		shut(m, f, 0)
		post(t, m, urgent("u2"), Urgent)
		m.PostUserMessage(actor.WrapEnvelope(&actor.PoisonPill{}))
		m.PostSystemMessage("system")
		f.run()
		f.want(t, "refuse(shut) system")
		m.PostSystemMessage(&actor.ResumeMailbox{})
		f.run()
		f.want(t, "u1 u2   ")
		if s := f.stats(m); s.Depth != 0 || s.Refused != 1 {
			t.Errorf("stats %+v", s)
		}
	})
}

func TestAGateLetsSoManyThroughAndGoesWhenTheyWereServed(t *testing.T) {
	both(t, func(t *testing.T, inline bool) {
		m, f := newFake(Config{Inline: inline})
		m.PostSystemMessage(&actor.SuspendMailbox{})
		shut(m, f, 2)
		post(t, m, "a", Ordinary)
		post(t, m, "b", Ordinary)
		if err := m.Post(node("c"), Ordinary); !errors.Is(err, errShut) {
			t.Errorf("got %v", err)
		}
		m.PostSystemMessage(&actor.ResumeMailbox{})
		f.run()
		f.want(t, "a b")
		post(t, m, "d", Ordinary)
		f.run()
		f.want(t, "d")
	})
}

func TestAGateStaysWhenWhatItLetThroughFails(t *testing.T) {
	both(t, func(t *testing.T, inline bool) {
		m, f := newFake(Config{Inline: inline})
		shut(m, f, 1)
		post(t, m, func() { panic("ouch") }, Ordinary)
		f.run()
		f.want(t, "refuse("+ErrPanicked.Error()+") failure(ouch)")
		if err := m.Post(node("b"), Ordinary); !errors.Is(err, errShut) {
			t.Errorf("got %v", err)
		}
	})
}

func TestANewGateForgetsWhomTheLastOneLetThrough(t *testing.T) {
	both(t, func(t *testing.T, inline bool) {
		m, f := newFake(Config{Inline: inline})
		m.PostSystemMessage(&actor.SuspendMailbox{})
		shut(m, f, 1)
		post(t, m, "old", Ordinary)
		shut(m, f, 1)
		f.want(t, "refuse(shut)")
		post(t, m, "new", Ordinary)
		m.PostSystemMessage(&actor.ResumeMailbox{})
		f.run()
		f.want(t, "new")
		post(t, m, "open", Ordinary)
		f.run()
		f.want(t, "open")
	})
}

func TestAFullMailboxHasRoomForWhomAGateLetsThrough(t *testing.T) {
	m, f := newFake(Config{Capacity: 1})
	m.PostSystemMessage(&actor.SuspendMailbox{})
	f.run()
	post(t, m, urgent("u1"), Urgent)
	post(t, m, urgent("u2"), Urgent)
	shut(m, f, 1)
	post(t, m, "a", Ordinary) // else nothing would take the gate away
	m.PostSystemMessage(&actor.ResumeMailbox{})
	f.run()
	f.want(t, "u1 u2 a")
}

func TestAStoppedMailboxSaysSoGateOrNot(t *testing.T) {
	worlds(t, func(t *testing.T, w *world) {
		var m *Combining
		pid := w.spawn(w.subject("s", nil, actor.WithMailbox(func() actor.Mailbox {
			m = NewCombining(w.config)
			return m
		})), "s")
		m.PostSystemMessage(Gate{Refuse: errShut})
		w.refused(w.ask(pid, echo("x")), errShut)
		w.stops(pid)
		synctest.Wait()
		if err := m.Post(node("late"), Ordinary); !errors.Is(err, ErrStopped) {
			t.Errorf("got %v", err)
		}
	})
}

// listener is a process that notes which gates opened.
type listener struct{ *world }

func (l listener) SendUserMessage(*actor.PID, any) {}
func (l listener) Stop(*actor.PID)                 {}
func (l listener) SendSystemMessage(_ *actor.PID, msg any) {
	if o, ok := msg.(*GateOpened); ok {
		l.add("opened:%s:%d:%d", o.Who.Id, o.Passed, o.ID)
		if o.Passed == 13 {
			panic("unlucky")
		}
	}
}

func TestWhoIsToldThatAGateOpened(t *testing.T) {
	worlds(t, func(t *testing.T, w *world) {
		pid := w.spawn(w.subject("s", nil), "s")
		process, _ := w.system.ProcessRegistry.Get(pid)
		tell, _ := w.system.ProcessRegistry.Add(listener{w}, "listener")
		process.SendSystemMessage(pid, Gate{Refuse: errShut, Pass: 2, Tell: tell, ID: 7})
		synctest.Wait()
		w.answered(w.ask(pid, echo("1")), echo("1"))
		w.send(pid, "2")
		w.settled("s:started s:2 opened:s:2:7")
		process.SendSystemMessage(pid, Gate{Refuse: errShut, Pass: 13, Tell: tell})
		synctest.Wait()
		for range 13 {
			w.send(pid, "x")
		}
		synctest.Wait()
		w.take()
		w.answered(w.ask(pid, echo("fine")), echo("fine")) // though the listener panicked
		process.SendSystemMessage(pid, Gate{Refuse: errShut, Pass: 1, Tell: w.system.NewLocalPID("nobody")})
		synctest.Wait()
		w.send(pid, "y")
		w.settled("s:y")
	})
}

func TestAFailureSaysThatItsMailboxHasAGate(t *testing.T) {
	worlds(t, func(t *testing.T, w *world) {
		var got any
		see := &witness{&got}
		parent := w.spawn(w.subject("p", nil, actor.WithSupervisor(see)), "p")
		w.refused(w.ask(w.child(parent, w.subject("c", nil)), fail{}), ErrPanicked)
		synctest.Wait()
		f, ok := got.(Failed)
		if !ok {
			t.Fatalf("the message is %T", got)
		}
		if _, ok := actor.UnwrapEnvelopeMessage(f.Message).(fail); !ok {
			t.Errorf("it failed on %v", f.Message)
		}
	})
}

// witness keeps the message on which a child failed.
type witness struct{ message *any }

func (s *witness) HandleFailure(_ *actor.ActorSystem, p actor.Supervisor, child *actor.PID, _ *actor.RestartStatistics, _, message any) {
	*s.message = message
	p.ResumeChildren(child)
}

// Posters race with gates that come and go: everything is served or refused, once.
func TestEveryMessageIsServedOrRefusedWhateverGatesDo(t *testing.T) {
	both(t, func(t *testing.T, inline bool) {
		const posters, each = 4, 3000
		h := &tallied{}
		m := NewCombining(Config{Inline: inline, Handler: h})
		m.RegisterHandlers(&fake{}, actor.NewDefaultDispatcher(1))
		m.Start()
		var all sync.WaitGroup
		var bounced atomic.Int64
		for range posters {
			all.Go(func() {
				for range each {
					if err := m.Post(node("n"), Ordinary); err != nil {
						bounced.Add(1)
					}
				}
			})
		}
		all.Go(func() {
			for i := range each / 10 {
				m.PostSystemMessage(Gate{Refuse: errShut, Pass: i % 3})
				if i%2 == 0 {
					m.PostSystemMessage(Gate{})
				}
			}
			m.PostSystemMessage(Gate{})
		})
		all.Wait()
		m.Stats() // system messages come first,
		m.Stats() // so by now the gate is away
		for m.UserMessageCount() > 0 {
			m.Stats()
		}
		m.Stats()
		if sum := h.served.Load() + h.refused.Load() + bounced.Load(); sum != posters*each {
			t.Errorf("served %d + refused %d + bounced %d of %d", h.served.Load(), h.refused.Load(), bounced.Load(), posters*each)
		}
	})
}

type tallied struct{ served, refused atomic.Int64 }

func (c *tallied) Turn(*Node)          { c.served.Add(1) }
func (c *tallied) Refuse(*Node, error) { c.refused.Add(1) }
func (c *tallied) After()              {}
