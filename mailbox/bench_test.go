package mailbox

import (
	"testing"

	"github.com/asynkron/protoactor-go/actor"
)

type message struct{ served chan struct{} }

func BenchmarkTurn(b *testing.B) {
	m := NewCombining(Config{Inline: true, Handler: silent{}})
	m.Start()
	b.Run("TryEnter+Exit", func(b *testing.B) {
		for b.Loop() {
			if m.TryEnter() {
				m.Exit()
			}
		}
	})
	b.Run("Post", func(b *testing.B) {
		n := node(nil)
		for b.Loop() {
			if err := m.Post(n, Ordinary); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("Queued16", func(b *testing.B) {
		var nodes [16]Node
		for b.Loop() {
			m.TryEnter()
			for i := range nodes {
				if err := m.Post(&nodes[i], Ordinary); err != nil {
					b.Fatal(err)
				}
			}
			m.Exit()
		}
	})
}

// BenchmarkSend sends to an ordinary actor, which answers on a channel.
func BenchmarkSend(b *testing.B) {
	for name, mailbox := range map[string]actor.MailboxProducer{
		"Unbounded":          actor.Unbounded(),
		"UnboundedLockfree":  actor.UnboundedLockfree(),
		"CombiningInline":    Producer(Config{Inline: true}),
		"CombiningGoroutine": Producer(Config{}),
	} {
		system := quietSystem()
		pid := system.Root.Spawn(actor.PropsFromFunc(func(c actor.Context) {
			if m, ok := c.Message().(*message); ok {
				m.served <- struct{}{}
			}
		}, actor.WithMailbox(mailbox)))
		send := func(b *testing.B, callers int) {
			b.Helper()
			b.ReportAllocs()
			b.SetParallelism(callers)
			b.RunParallel(func(pb *testing.PB) {
				m := &message{make(chan struct{}, 1)}
				for pb.Next() {
					system.Root.Send(pid, m)
					<-m.served
				}
			})
		}
		b.Run(name+"/ping", func(b *testing.B) {
			m := &message{make(chan struct{}, 1)}
			b.ReportAllocs()
			for b.Loop() {
				system.Root.Send(pid, m)
				<-m.served
			}
		})
		b.Run(name+"/64", func(b *testing.B) { send(b, 32) })
		b.Run(name+"/stream", func(b *testing.B) {
			m := &message{make(chan struct{}, 1<<16)}
			b.ReportAllocs()
			for b.Loop() {
				system.Root.Send(pid, m)
				if len(m.served) > 1<<15 {
					for len(m.served) > 0 {
						<-m.served
					}
				}
			}
		})
		if err := system.Root.StopFuture(pid).Wait(); err != nil {
			b.Error(err)
		}
		system.Shutdown()
	}
}
