package middleware

import (
	"cmp"
	"errors"
	"fmt"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/bulwark-go/bulwark/actors/internal/attempts"
	"github.com/bulwark-go/bulwark/actors/internal/errands"
	"github.com/bulwark-go/bulwark/mailbox"
	"github.com/bulwark-go/bulwark/patterns"
)

// Limits and defaults of a RequestConfig.
const (
	DefaultTimeout = 5 * time.Second
	MaxTimeout     = 24 * time.Hour
	DefaultPending = 1000
	MaxPending     = 1 << 20
)

// RequestConfig is how requests to a Target are made. The zero value is valid.
type RequestConfig struct {
	// Timeout is how long a request may take from when it is sent: above 0, up to 24h. No
	// reply by then is a Failure. Default 5s.
	Timeout time.Duration
	// Wait is how long a request may wait for its permit before that, in the guard's queue
	// or until the guard says that it may come again: 0 to 24h. Default 0: a request that
	// is refused is not sent.
	Wait time.Duration
	// Pending is how many requests each actor may have waiting or out, 1 to 1,048,576; one
	// more is refused with ErrPending. Default 1,000.
	Pending int
}

// Validate returns every fault, each a *patterns.ConfigError, joined.
func (c RequestConfig) Validate() error {
	var faults faults
	c = c.withDefaults()
	faults.check(c.Timeout > 0 && c.Timeout <= MaxTimeout, "Timeout", c.Timeout, "must be above 0, up to 24h")
	faults.check(c.Wait >= 0 && c.Wait <= MaxTimeout, "Wait", c.Wait, "must be 0 to 24h")
	faults.check(c.Pending >= 1 && c.Pending <= MaxPending, "Pending", c.Pending, "must be 1 to 1048576")
	return faults.joined()
}

func (c RequestConfig) withDefaults() RequestConfig {
	c.Timeout = cmp.Or(c.Timeout, DefaultTimeout)
	c.Pending = cmp.Or(c.Pending, DefaultPending)
	return c
}

// Target is an actor that is asked under a guard. It is immutable, and may be shared by
// any number of actors.
type Target struct {
	pid   *actor.PID
	guard patterns.Guard
	cfg   RequestConfig
	wiring
}

// Guarded returns a Target that sends requests to pid if guard permits. The error names
// every fault of cfg. Only is no option of it: whoever calls Request means it.
func Guarded(pid *actor.PID, guard patterns.Guard, cfg RequestConfig, opts ...Option) (*Target, error) {
	var faults faults
	faults.check(pid != nil, "pid", pid, "must be given")
	if guard == nil {
		faults = append(faults, fmt.Errorf("middleware: %w", patterns.ErrNilGuard))
	}
	if err := errors.Join(faults.joined(), cfg.Validate()); err != nil {
		return nil, err
	}
	t := &Target{pid: pid, cfg: cfg.withDefaults(), wiring: wire(opts)}
	t.guard = attempts.Judged(guard, t.judge)
	return t, nil
}

// PID is whom requests are sent to.
func (t *Target) PID() *actor.PID { return t.pid }

// Request asks the guard, sends msg to the target if it permits, and calls then, in a
// later turn of the actor whose turn c belongs to, with the reply. In then, c is as it
// was: Sender, Message and Respond are those of the message that is being handled now. A
// reply that is an error comes as err. Otherwise err is a *RejectedError, which matches
// patterns.ErrRejected, if the request was never sent, and a *RequestError if there is no
// reply. then may be nil.
//
// If the actor restarts or stops first, then is not called: the permit is released, and
// whoever sent the message that is being handled now, and has no answer yet, gets a
// mailbox.Undelivered.
//
// If the actor was not spawned with Attach, then is called at once with ErrNotAttached.
func (t *Target) Request(c actor.Context, msg any, then func(reply any, err error)) {
	if then == nil {
		then = func(any, error) {}
	}
	d := deskOf(c)
	if d == nil {
		then(nil, ErrNotAttached)
		return
	}
	r := &request{to: t, desk: d, msg: msg, then: then, origin: d.of()}
	switch {
	case d.stopping:
		r.later(ErrStopping)
		return
	case d.out[t] >= t.cfg.Pending:
		r.later(ErrPending)
		return
	}
	d.out[t]++
	d.open[r] = struct{}{}
	ask := t.request(c.Logger(), msg)
	permit, err := d.patience.Try(t.guard, ask)
	switch {
	case err == nil:
		r.send(permit)
	case t.cfg.Wait > 0 && passing(err):
		r.await(ask, err)
	default:
		r.close()
		r.later(err)
	}
}

// request is one request of one actor.
type request struct {
	to     *Target
	desk   *desk
	msg    any
	then   func(any, error)
	origin *origin
	wait   *wait // while it waits for its permit
	permit patterns.Permit
}

// ended has a request end, or be sent, in a later turn.
type ended struct {
	of   *request
	wait *wait
	err  error
}

func (*ended) ofMiddleware() {}

// Lane is Urgent: it ends work, or goes on with it.
func (*ended) Lane() mailbox.Lane { return mailbox.Urgent }

// IgnoreDeadLetterLogging says that there is nothing to log.
func (*ended) IgnoreDeadLetterLogging() {}

// later ends a request that is not open in a later turn.
func (r *request) later(reason error) {
	r.desk.open[r] = struct{}{}
	r.desk.out[r.to]++
	r.desk.ActorSystem().Root.Send(r.desk.Self(), &ended{of: r, err: reason})
}

// await has a goroutine wait for the permit.
func (r *request) await(ask patterns.Request, refusal error) {
	w := newWait()
	r.wait = w
	system, self := r.desk.ActorSystem(), r.desk.Self()
	until := time.Now().Add(r.to.cfg.Wait)
	go func() {
		w.put(w.seek(r.to.guard, ask, until, DefaultRecheck, refusal))
		system.Root.Send(self, &ended{of: r, wait: w})
	}()
}

// end goes on with a request that has waited, or ends one that was refused.
func (r *request) end(w *wait, err error) {
	if _, open := r.desk.open[r]; !open {
		return
	}
	if w != nil {
		a, ok := w.take()
		if r.wait = nil; !ok {
			return
		}
		if a.err == nil {
			r.send(a.permit)
			return
		}
		err = a.err
	}
	r.close()
	r.finish(nil, &RejectedError{Guard: r.to.guard.Name(), Actor: r.to.pid, Message: r.msg, Reason: err})
}

func (r *request) send(permit patterns.Permit) {
	d := r.desk
	r.permit = permit
	if d.errands == nil {
		d.errands = errands.New(d.ActorSystem(), d.Self())
	}
	e := &errands.Errand{Target: r.to.pid, By: time.Now().Add(r.to.cfg.Timeout), Done: r.done}
	d.errands.Send(e, &actor.MessageEnvelope{Message: r.msg}, d.Context.Send)
}

// done is called in the actor's turn.
func (r *request) done(reply any, end errands.End) {
	r.close()
	if end == errands.Replied {
		v, err := r.settle(reply)
		r.finish(v, err)
		return
	}
	r.permit.Report(patterns.Failure)
	reason := map[errands.End]error{errands.TimedOut: ErrTimeout, errands.DeadLetter: ErrDeadLetter, errands.Terminated: ErrTerminated}[end]
	r.finish(nil, &RequestError{Actor: r.to.pid, Message: r.msg, Reason: reason})
}

// settle reports what the reply says of the target.
func (r *request) settle(reply any) (any, error) {
	if u, ok := reply.(mailbox.Undelivered); ok && errors.Is(u, mailbox.ErrFull) {
		r.permit.Report(patterns.Dropped)
		return nil, u
	}
	return attempts.Settle(r.to.guard, r.permit, reply)
}

func (r *request) close() {
	d := r.desk
	delete(d.open, r)
	if d.out[r.to]--; d.out[r.to] <= 0 {
		delete(d.out, r.to)
	}
}

func (r *request) finish(reply any, err error) {
	r.desk.as(r.origin, func() { r.then(reply, err) })
}
