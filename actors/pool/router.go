package pool

import (
	"errors"
	"math/rand/v2"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/bulwark-go/bulwark/actors"
	"github.com/bulwark-go/bulwark/actors/internal/attempts"
	"github.com/bulwark-go/bulwark/actors/internal/errands"
	"github.com/bulwark-go/bulwark/actors/middleware"
	"github.com/bulwark-go/bulwark/mailbox"
	"github.com/bulwark-go/bulwark/patterns"
)

// router is the actor. It is the same through all restarts.
type router struct {
	name     string
	props    *actor.Props // nil for a group
	cfg      Config
	members  []*member
	patience attempts.Patience

	system   *actor.ActorSystem
	self     *actor.PID
	errands  *errands.Desk
	out      map[*job]struct{}
	timer    *time.Timer
	stopping bool
	closed   bool // for good
	begun    bool // at the first start, members are spawned, and none replaced
	seen     Snapshot
}

// job is a request that is out.
type job struct {
	envelope *actor.MessageEnvelope // as it came
	to       *member
	permit   patterns.Permit
	retried  bool
}

func (r *router) init(name string) {
	r.name, r.seen.Pool = name, name
	r.patience.Busy = middleware.ErrBusy
	r.out = map[*job]struct{}{}
}

// Receive implements actor.Actor.
func (r *router) Receive(c actor.Context) {
	switch msg := c.Message().(type) {
	case errands.Note:
		if r.errands != nil {
			r.errands.Handle(msg)
		}
	case *actor.Started:
		r.started(c)
	case *actor.Terminated:
		r.terminated(c, msg.Who)
	case respawn:
		r.respawn(c)
	case closing:
		r.stopping, r.closed = true, true
		r.stopTimer()
		c.Respond(actors.Ack{})
	case Inspect:
		c.Respond(r.snapshot())
	case Broadcast:
		r.broadcast(c, msg)
	case *actor.Restarting:
		r.abandon(middleware.ErrRestarting)
		r.vacate()
	case *actor.Stopping:
		r.stopping = true
		r.abandon(middleware.ErrStopping)
		r.stopTimer()
	case *actor.Stopped:
		r.abandon(middleware.ErrStopping)
		r.errands.Close()
	case actor.SystemMessage, actor.AutoReceiveMessage, *actor.ReceiveTimeout, *actor.DeadLetterResponse, actor.AutoRespond:
	default:
		r.ask(c, msg)
	}
}

func (r *router) started(c actor.Context) {
	r.stopping = r.closed
	if r.errands == nil {
		r.system, r.self = c.ActorSystem(), c.Self()
		r.errands = errands.New(r.system, r.self)
	}
	if r.props != nil {
		r.respawn(c)
		r.begun = true
		return
	}
	for _, m := range r.members {
		if m.pid != nil {
			c.Watch(m.pid)
		}
	}
}

// ask passes a message on, or answers it.
func (r *router) ask(c actor.Context, msg any) {
	r.seen.Asked++
	j := &job{envelope: &actor.MessageEnvelope{Message: msg, Sender: c.Sender()}}
	if header := c.MessageHeader(); header != nil {
		for k, v := range header.ToMap() {
			j.envelope.SetHeader(k, v)
		}
	}
	switch {
	case r.stopping:
		r.refuse(j, middleware.ErrStopping)
		return
	case attempts.Late(msg):
		r.refuse(j, middleware.ErrExpired)
		return
	case r.errands.Len() >= r.cfg.Pending:
		r.refuse(j, middleware.ErrPending)
		return
	}
	if err := r.pass(j, nil); err != nil {
		r.refuse(j, err)
	}
}

// pass sends the job to the best member that may be asked, other than not.
func (r *router) pass(j *job, not *member) error {
	m, permit, err := r.choose(not)
	if err != nil {
		return err
	}
	j.to, j.permit = m, permit
	m.sent++
	envelope := &actor.MessageEnvelope{Message: j.envelope.Message, Header: j.envelope.Header}
	if j.envelope.Sender == nil { // nothing will be known of it
		r.seen.Told++
		j.permit.Report(patterns.Ignored)
		r.system.Root.Send(m.pid, envelope)
		return nil
	}
	m.inFlight++
	r.out[j] = struct{}{}
	e := &errands.Errand{Target: m.pid, By: time.Now().Add(r.cfg.Timeout), Done: func(reply any, end errands.End) { r.done(j, reply, end) }}
	r.errands.Send(e, envelope, r.system.Root.Send)
	return nil
}

// choose returns the member with the fewest requests out whose breaker grants a permit,
// which it has then; of several any one.
func (r *router) choose(not *member) (*member, patterns.Permit, error) {
	refusal := &NoMemberError{Pool: r.name, Members: len(r.members)}
	if r.timer != nil { // some member will be replaced
		refusal.RetryAt, _ = r.respawnAt()
	}
	for candidates := r.present(not); len(candidates) > 0; {
		best := least(candidates)
		m := candidates[best]
		permit, err := r.patience.Try(m.breaker, patterns.Request{})
		if err == nil {
			return m, permit, nil
		}
		refusal.learn(err)
		candidates[best] = candidates[len(candidates)-1]
		candidates = candidates[:len(candidates)-1]
	}
	return nil, patterns.Permit{}, refusal
}

// least returns the index of the member with the fewest requests out. A random start is
// fair among equals.
func least(of []*member) int {
	start := rand.IntN(len(of))
	best := start
	for i := range of {
		if i := (start + i) % len(of); of[i].inFlight < of[best].inFlight {
			best = i
		}
	}
	return best
}

// learn keeps what the breaker said that will let a request through soonest.
func (e *NoMemberError) learn(err error) {
	after, known := patterns.RetryAfter(err)
	at := time.Time{}
	if known && after > 0 {
		at = time.Now().Add(after)
	}
	sooner := !at.IsZero() && (e.RetryAt.IsZero() || at.Before(e.RetryAt))
	if sooner {
		e.RetryAt = at
	}
	if sooner || e.Reason == nil {
		e.Reason = err
	}
}

// done is called when the member has replied, or will not.
func (r *router) done(j *job, reply any, end errands.End) {
	delete(r.out, j)
	j.to.inFlight--
	if end != errands.Replied {
		j.permit.Report(patterns.Failure)
		r.seen.Failed++
		reason := map[errands.End]error{
			errands.TimedOut: middleware.ErrTimeout, errands.DeadLetter: middleware.ErrDeadLetter, errands.Terminated: middleware.ErrTerminated,
		}[end]
		r.reply(j, &middleware.RequestError{Actor: j.to.pid, Message: j.envelope.Message, Reason: reason})
		return
	}
	if full(reply) {
		j.permit.Report(patterns.Ignored) // it is not sick, but busy
		if !j.retried && !r.cfg.NoRetry {
			j.retried = true
			if r.pass(j, j.to) == nil {
				r.seen.Retried++
				return
			}
		}
		r.seen.Answered++
		r.reply(j, reply)
		return
	}
	_, _ = attempts.Settle(j.to.judged, j.permit, reply) // the reply goes to the requester as it is
	r.seen.Answered++
	r.reply(j, reply)
}

// full reports whether a mailbox has refused the request because it is full.
func full(reply any) bool {
	u, ok := reply.(mailbox.Undelivered)
	return ok && errors.Is(u.Reason, mailbox.ErrFull)
}

func (r *router) reply(j *job, reply any) { r.system.Root.Send(j.envelope.Sender, reply) }

// refuse answers a request that was not passed on.
func (r *router) refuse(j *job, reason error) {
	r.seen.Refused++
	if j.envelope.Sender != nil {
		r.reply(j, &middleware.RejectedError{Guard: r.name, Actor: r.self, Message: j.envelope.Message, Reason: reason})
	}
}

// abandon answers everybody whose request is out.
func (r *router) abandon(reason error) {
	if r.errands == nil {
		return
	}
	r.errands.Forget()
	for j := range r.out {
		j.permit.Release()
		j.to.inFlight--
		r.seen.Abandoned++
		r.reply(j, mailbox.Undelivered{Message: j.envelope.Message, Reason: reason})
	}
	clear(r.out)
}

func (r *router) broadcast(c actor.Context, b Broadcast) {
	for _, m := range r.present(nil) {
		r.system.Root.Send(m.pid, &actor.MessageEnvelope{Message: b.Message, Sender: c.Sender()})
	}
}

func (r *router) snapshot() Snapshot {
	s := r.seen
	s.InFlight = len(r.out)
	for _, m := range r.members {
		s.Members = append(s.Members, Member{Breaker: m.breaker.Name(), PID: m.pid, InFlight: m.inFlight, Sent: m.sent})
	}
	return s
}
