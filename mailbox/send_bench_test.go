package mailbox

import (
	"testing"

	"github.com/asynkron/protoactor-go/actor"
)

// The cases of bench's family mailbox, for a profile.
func BenchmarkUserSend(b *testing.B) {
	for name, box := range map[string]actor.MailboxProducer{
		"plain": MustNew(), "oldest": MustNew(OnFull(DropOldest)), "unbounded": actor.Unbounded(),
	} {
		b.Run(name, func(b *testing.B) {
			system := quietSystem()
			defer system.Shutdown()
			pid := system.Root.Spawn(actor.PropsFromFunc(func(c actor.Context) {
				if done, ok := c.Message().(chan struct{}); ok {
					done <- struct{}{}
				}
			}, actor.WithMailbox(box)))
			done, msg := make(chan struct{}, 1), &struct{ int }{}
			b.ReportAllocs()
			for i := 0; b.Loop(); i++ {
				if i%500 == 0 {
					system.Root.Send(pid, done)
					<-done
					continue
				}
				system.Root.Send(pid, msg)
			}
		})
	}
}
