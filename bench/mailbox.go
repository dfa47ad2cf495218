package main

import (
	"context"
	"sync"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/bulwark-go/bulwark/mailbox"
)

const (
	// holds is what bounded mailboxes hold. Senders wait so often for the actor that none
	// is ever full: what a message costs is compared, not what becomes of it.
	holds = 1 << 16
	// inFlight is after how many messages a sender waits for the actor.
	inFlight = 500
)

// letter is what is sent: 0 to 7 is its priority, as proto.actor has it.
type letter struct{ priority int8 }

func (l *letter) GetPriority() int8 { return l.priority }

type boxed struct {
	name string
	make func() actor.MailboxProducer
}

func boxes() []boxed {
	return []boxed{
		{"bulwark", func() actor.MailboxProducer { return mailbox.MustNew() }},
		{"bulwark-inline", func() actor.MailboxProducer { return mailbox.MustNew(mailbox.Inline()) }},
		{"bulwark-oldest", func() actor.MailboxProducer { return mailbox.MustNew(mailbox.OnFull(mailbox.DropOldest)) }},
		{"bulwark-lanes", func() actor.MailboxProducer {
			return mailbox.MustNew(mailbox.OnFull(mailbox.DropLowest), mailbox.Lanes(mailbox.Priority, 1, 1, 1, 1, 4, 4, 4, 16))
		}},
		{"bulwark-all", func() actor.MailboxProducer {
			return mailbox.MustNew(mailbox.OnFull(mailbox.DropLowest), mailbox.Lanes(mailbox.Priority, 1, 1, 1, 1, 4, 4, 4, 16),
				mailbox.Cost(1<<40, func(any) int64 { return 1 }), mailbox.CoDel(time.Minute, time.Hour), mailbox.NewestFirst(),
				mailbox.TTL(time.Hour), mailbox.Sojourn(time.Hour), mailbox.WaterMarks(holds-2, holds-1))
		}},
		{"unbounded", func() actor.MailboxProducer { return actor.Unbounded() }},
		{"lockfree", func() actor.MailboxProducer { return actor.UnboundedLockfree() }},
		{"bounded", func() actor.MailboxProducer { return actor.Bounded(holds) }},
		{"dropping", func() actor.MailboxProducer { return actor.BoundedDropping(holds) }},
		{"priority", func() actor.MailboxProducer { return actor.UnboundedPriority() }},
	}
}

func mailboxes() family {
	const send, full = "mailbox/send", "mailbox/full"
	var senders []subject
	for _, b := range boxes() {
		senders = append(senders, subject{b.name, func(settings) (*instance, error) { return startSending(b.make()) }})
	}
	blocked := []subject{
		{"bulwark", func(settings) (*instance, error) {
			box := mailbox.MustNew(mailbox.Capacity(fits), mailbox.OnFull(mailbox.Block))
			return startBlocked(box, func(system *actor.ActorSystem, pid *actor.PID) {
				_ = mailbox.Send(context.Background(), system.Root, pid, &letter{})
			})
		}},
		{"bounded", func(settings) (*instance, error) {
			return startBlocked(actor.Bounded(fits), func(system *actor.ActorSystem, pid *actor.PID) { system.Root.Send(pid, &letter{}) })
		}},
	}
	budgets := []budget{{what: "CPU while full", of: point{full, "bulwark", 1}, metric: cpuShare, is: atMost, limit: 0.02}}
	sentBy := []int{1, 2, 64}
	for _, g := range sentBy {
		budgets = append(budgets, atMostTimes(send, g, "bulwark", 1, "unbounded"))
	}
	return family{
		cases: []benchCase{
			{
				name: send, baseline: "unbounded", how: tight{}, goroutines: sentBy, subjects: senders,
				about: "Senders send to one actor that does nothing, and each waits for it after every 500 messages. No mailbox is full.",
			},
			{
				name: full, baseline: "bounded", how: processor{}, goroutines: []int{1}, subjects: blocked,
				about: "An actor is busy with something that needs no processor, its mailbox is full, and a sender waits for room: how many processors does that take?",
			},
		},
		budgets: budgets,
	}
}

func startSending(box actor.MailboxProducer) (*instance, error) {
	system := newSystem()
	pid := system.Root.Spawn(actor.PropsFromFunc(func(c actor.Context) {
		if done, ok := c.Message().(chan struct{}); ok {
			done <- struct{}{}
		}
	}, actor.WithMailbox(box)))
	return &instance{stop: system.Shutdown, each: func() func() bool {
		msg, done, sent := &letter{priority: actor.DefaultPriority}, make(chan struct{}, 1), 0
		return func() bool {
			if sent++; sent%inFlight == 0 {
				system.Root.Send(pid, done)
				<-done
				return true
			}
			system.Root.Send(pid, msg)
			return true
		}
	}}, nil
}

// fits is what the mailbox that is full holds.
const fits = 8

// startBlocked fills the mailbox of an actor that is busy, and has a sender wait for room.
func startBlocked(box actor.MailboxProducer, send func(*actor.ActorSystem, *actor.PID)) (*instance, error) {
	system := newSystem()
	release := make(chan struct{})
	pid := system.Root.Spawn(actor.PropsFromFunc(func(c actor.Context) {
		if _, ok := c.Message().(*letter); ok {
			<-release
		}
	}, actor.WithMailbox(box)))
	var sender sync.WaitGroup
	sender.Go(func() {
		for range 2 * fits { // the mailbox has room for half of them
			send(system, pid)
		}
	})
	time.Sleep(10 * time.Millisecond) // a sender that spins never says that it waits
	return &instance{op: func() bool { return true }, stop: func() {
		close(release)
		sender.Wait()
		system.Shutdown()
	}}, nil
}
