package snippets

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/bulwark-go/bulwark/mailbox"
)

func bounded(newWorker actor.Producer, priorityOf func(any) int) *actor.Props {
	// region: mailbox-new
	props := actor.PropsFromProducer(newWorker, actor.WithMailbox(mailbox.MustNew(
		mailbox.Capacity(1000), mailbox.OnFull(mailbox.DropLowest),
		mailbox.Lanes(priorityOf, 1, 4, 16), // of 21 turns the lowest has 1, the highest 16
		mailbox.CoDel(5*time.Millisecond, 100*time.Millisecond), mailbox.NewestFirst(),
		mailbox.TTL(2*time.Second), mailbox.WaterMarks(200, 800),
	)))
	// endregion
	return props
}

func fromFile(capacity int) (actor.MailboxProducer, error) {
	// region: mailbox-error
	box, err := mailbox.New(mailbox.Capacity(capacity)) // err names every bad option
	// endregion
	return box, err
}

func answered(system *actor.ActorSystem, worker *actor.PID, job any) {
	// region: mailbox-refused
	reply, err := system.Root.RequestFuture(worker, job, 5*time.Second).Result()
	if refused, ok := reply.(mailbox.Undelivered); ok && errors.Is(refused, mailbox.ErrFull) {
		fmt.Println("try later:", refused.Message)
	}
	// endregion
	_ = err
}

func parked(ctx context.Context, system *actor.ActorSystem, worker *actor.PID, job any) error {
	// region: mailbox-send
	ctx, cancel := context.WithTimeout(ctx, time.Second)
	defer cancel()
	err := mailbox.Send(ctx, system.Root, worker, job) // in an actor: its Context instead of system.Root
	// endregion
	return err
}

// region: mailbox-producer
func (p *importer) Receive(c actor.Context) {
	switch msg := c.Message().(type) {
	case *actor.Started:
		c.Request(p.worker, mailbox.Produce{Window: 100})
	case mailbox.Demand: // so many more may be sent
		for range msg.N {
			c.Request(p.worker, p.next()) // with Request, so that the mailbox knows whose it is
		}
	}
}

// endregion

type importer struct {
	worker *actor.PID
	next   func() any
}

func operate(ctx context.Context, system *actor.ActorSystem, worker *actor.PID) error {
	// region: mailbox-operate
	if err := mailbox.Pause(system.Root, worker); err != nil { // serves nothing until Resume
		return err
	}
	stats, err := mailbox.StatsOf(ctx, system.Root, worker)
	if err != nil {
		return err
	}
	fmt.Println(stats.Depth, "are queued, the oldest for", stats.OldestAge, "and dropped were", stats.Drops.Total())
	return mailbox.Close(system.Root, worker) // refuses all that is queued, and all that comes
	// endregion
}

func listen(system *actor.ActorSystem) {
	// region: mailbox-events
	system.EventStream.Subscribe(func(e any) {
		switch e := e.(type) {
		case mailbox.Dropped:
			fmt.Println(e.Who.Id, "dropped", e.Since.Full, "because it was full")
		case mailbox.Pressure:
			fmt.Println(e.Who.Id, "is under pressure:", e.High)
		}
	})
	// endregion
}
