package mailbox

import (
	"testing"

	"github.com/asynkron/protoactor-go/actor"
)

type silent struct{}

func (silent) Turn(*Node)          {}
func (silent) Refuse(*Node, error) {}
func (silent) After()              {}

func TestAllocNothingPerTurn(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector allocates")
	}
	system := quietSystem()
	defer system.Shutdown()
	for _, inline := range []bool{true, false} {
		var m *Combining
		var turns counted
		msg := &message{make(chan struct{}, 1)}
		pid := system.Root.Spawn(actor.PropsFromFunc(func(c actor.Context) {
			if m, ok := c.Message().(*message); ok {
				m.served <- struct{}{}
			}
		}, actor.WithDispatcher(&turns), actor.WithMailbox(func() actor.Mailbox {
			m = NewCombining(Config{Inline: inline, Handler: silent{}})
			return m
		})))
		turns.Wait()
		if got := testing.AllocsPerRun(1000, func() {
			if m.TryEnter() {
				m.After()
				m.Exit()
			}
		}); got != 0 {
			t.Errorf("inline %v: %v allocations per TryEnter and Exit", inline, got)
		}
		if inline { // else starting a goroutine may allocate
			n := node(nil)
			for _, lane := range []Lane{Ordinary, Urgent} {
				if got := testing.AllocsPerRun(1000, func() {
					if err := m.Post(n, lane); err != nil {
						t.Error(err)
					}
				}); got != 0 {
					t.Errorf("%v allocations per Post", got)
				}
			}
		}
		var queued [8]Node
		if got := testing.AllocsPerRun(1000, func() {
			if !m.TryEnter() {
				return
			}
			for i := range queued {
				if err := m.Post(&queued[i], Ordinary); err != nil {
					t.Error(err)
				}
			}
			m.Exit()
		}); got != 0 {
			t.Errorf("inline %v: %v allocations per turn that serves others", inline, got)
		}
		if got := testing.AllocsPerRun(1000, func() {
			system.Root.Send(pid, msg)
			<-msg.served
		}); inline && got != 0 {
			t.Errorf("%v allocations per Send", got)
		}
		system.Root.Stop(pid)
		turns.Wait()
	}
}

// quietInvoker is an actor that does nothing.
type quietInvoker struct{}

func (quietInvoker) InvokeSystemMessage(any)  {}
func (quietInvoker) InvokeUserMessage(any)    {}
func (quietInvoker) EscalateFailure(any, any) {}

func TestAllocNothingPerMessageOfAUserActor(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector allocates")
	}
	for name, opts := range every {
		if name == "all of it" { // its priorities panic
			continue
		}
		t.Run(name, func(t *testing.T) {
			m := MustNew(opts...)().(*Combining)
			m.RegisterHandlers(quietInvoker{}, actor.NewSynchronizedDispatcher(1))
			m.Start()
			const batch = 100
			msg := any(new(int))
			got := testing.AllocsPerRun(100, func() {
				m.word.Or(paused)
				for range batch {
					m.PostUserMessage(msg)
				}
				m.word.And(^paused)
				m.announce(0)
			})
			if got > 1 { // a pool that was emptied
				t.Errorf("%v allocations for %d messages", got, batch)
			}
		})
	}
}
