package main

import (
	"context"
	"errors"
	"sync/atomic"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/bulwark-go/bulwark/mailbox"
	"github.com/bulwark-go/bulwark/patterns"
	"github.com/bulwark-go/bulwark/supervisor"
)

const (
	// mailFor is how long the mailer takes for a letter: it could not send all receipts of
	// the rush.
	mailFor = 4 * time.Millisecond
	// mailQueue is how many letters wait for it at most.
	mailQueue = 100
	// newsEvery is how often it has a newsletter to send, whatever is ordered.
	newsEvery = 20 * time.Millisecond
)

// mail is a mailer, an actor that crashes while the mail server is down, and an office
// that has it send receipts and newsletters. A mailbox with lanes keeps the receipts of
// critical orders in front; a supervisor leaves the mailer alone when it keeps crashing, and
// its mailbox refuses meanwhile.
type mail struct {
	plan   plan
	tree   *supervisor.Root
	mailer *actor.PID
	office *actor.PID

	asked, sent, failed, away, stopped atomic.Int64
	dropped, urgentDropped             atomic.Int64 // for want of room
	deepest                            atomic.Int64 // how many waited
	opened, back                       atomic.Int64
}

type (
	letter struct{ priority patterns.Priority }
	sent   struct{}
)

// post gives the office something to send. From now on it has to be answered.
func (m *mail) post(root *actor.RootContext, p patterns.Priority) {
	m.asked.Add(1)
	root.Send(m.office, letter{p})
}

func openMail(ctx context.Context, system *actor.ActorSystem, p plan) (m *mail, err error) {
	m = &mail{plan: p}
	system.EventStream.Subscribe(func(e any) {
		switch e, _ := e.(supervisor.ChildChanged); e.To {
		case supervisor.Open:
			m.opened.Add(1)
		case supervisor.Running:
			if e.From == supervisor.HalfOpen {
				m.back.Add(1)
			}
		}
	})
	box := mailbox.MustNew(mailbox.Capacity(mailQueue), mailbox.OnFull(mailbox.DropLowest), mailbox.Lanes(lane))
	m.tree, err = supervisor.Start(ctx, system, supervisor.Spec{
		Name: "mail",
		Config: supervisor.Config{Breaker: supervisor.BreakerConfig{
			Intensity: 3, Period: 10 * time.Second, OpenFor: 400 * time.Millisecond,
		}},
		Children: []supervisor.Child{
			{Name: "mailer", Props: actor.PropsFromFunc(m.send, actor.WithMailbox(box))},
			{Name: "office", Props: actor.PropsFromFunc(m.hand)},
		},
	})
	m.mailer, m.office = system.NewLocalPID("mail/mailer"), system.NewLocalPID("mail/office")
	return m, err
}

// lane puts the receipts of critical orders in front, and newsletters last.
func lane(msg any) int {
	l, _ := msg.(letter)
	switch {
	case l.priority == patterns.Critical:
		return 2
	case l.priority >= patterns.Normal:
		return 1
	}
	return 0
}

// send is the mailer's turn.
func (m *mail) send(c actor.Context) {
	if _, ok := c.Message().(letter); !ok {
		return
	}
	if now := time.Now(); m.plan.at(now) == outage && now.Before(m.plan.slow()) {
		panic("mail server: connection refused")
	}
	time.Sleep(mailFor)
	c.Respond(sent{})
}

// hand is the office's turn. Whatever it hands over, it gets exactly one answer.
func (m *mail) hand(c actor.Context) {
	switch msg := c.Message().(type) {
	case letter:
		c.Request(m.mailer, msg)
	case sent:
		m.sent.Add(1)
	case mailbox.Undelivered:
		m.count(msg)
	}
}

func (m *mail) count(u mailbox.Undelivered) {
	switch {
	case errors.Is(u, mailbox.ErrFull), errors.Is(u, mailbox.ErrEvicted):
		m.dropped.Add(1)
		if l, ok := u.Message.(letter); ok && l.priority == patterns.Critical {
			m.urgentDropped.Add(1)
		}
	case errors.Is(u, mailbox.ErrPanicked):
		m.failed.Add(1)
	case errors.Is(u, mailbox.ErrStopped):
		m.stopped.Add(1)
	default: // the supervisor keeps senders away
		m.away.Add(1)
	}
}

// run has newsletters sent until ctx ends, and looks how many letters wait.
func (m *mail) run(ctx context.Context, root *actor.RootContext) {
	tick := time.NewTicker(newsEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		m.post(root, patterns.Background) // a newsletter
		if s, err := mailbox.StatsOf(ctx, root, m.mailer); err == nil {
			m.deepest.Store(max(m.deepest.Load(), int64(s.MaxDepth)))
		}
	}
}

// close waits until everything was answered, and stops them.
func (m *mail) close(ctx context.Context) error {
	for m.answered() < m.asked.Load() && sleepUntil(ctx, time.Now().Add(10*time.Millisecond)) {
	}
	return m.tree.Shutdown(ctx)
}

func (m *mail) answered() int64 {
	return m.sent.Load() + m.failed.Load() + m.away.Load() + m.dropped.Load() + m.stopped.Load()
}
