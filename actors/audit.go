package actors

import (
	"context"
	"errors"
	"log/slog"
	"sync/atomic"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/bulwark-go/bulwark/patterns"
)

// Reconfigured is what Operated calls a Reconfigure.
const Reconfigured = "reconfigure"

// Operated says that somebody gave a guard a command, and what came of it. There is one for
// each Operate and Reconfigure, whether by method or by message, carried out or not; also
// for a guard of several shards. Only a message that never reached the guard's actor has none.
type Operated struct {
	Name string        // the guard's
	By   string        // who: an Operator's name, or the PID of the actor that sent it; "" if nobody said
	Why  string        // the operator's reason; "" if nobody said
	What string        // a patterns.OperationKind as text, or Reconfigured
	For  time.Duration // of a forced state; 0 is until told otherwise
	Err  error         // why it was refused; nil if it was carried out
	At   time.Time
}

// Level is Info, or Warn for what was refused.
func (e Operated) Level() slog.Level {
	if e.Err != nil {
		return slog.LevelWarn
	}
	return slog.LevelInfo
}

// Source returns the guard's name.
func (e Operated) Source() string { return e.Name }

// LogValue implements slog.LogValuer.
func (e Operated) LogValue() slog.Value {
	attrs := []slog.Attr{slog.String("event", "operated"), slog.String("guard", e.Name), slog.String("what", e.What)}
	if e.For != 0 {
		attrs = append(attrs, slog.Duration("for", e.For))
	}
	attrs = append(attrs, slog.String("by", e.By), slog.String("why", e.Why))
	if e.Err != nil {
		return slog.GroupValue(append(attrs, slog.String("outcome", "refused"), slog.Any("error", e.Err))...)
	}
	return slog.GroupValue(append(attrs, slog.String("outcome", "done"))...)
}

// audit is a command on its way to the actors of a guard. It becomes one Operated when the
// last of them has carried it out or never will, even if who gave it does not wait for that.
type audit struct {
	event Operated
	relay *relay
	left  atomic.Int32
	errs  []error // by shard
}

func (r *relay) audit(event Operated, shards int) *audit {
	a := &audit{event: event, relay: r, errs: make([]error, shards)}
	a.left.Store(int32(shards))
	return a
}

// ended is called once for each shard.
func (a *audit) ended(shard int, err error) {
	a.errs[shard] = err
	if a.left.Add(-1) > 0 {
		return
	}
	a.event.Err = a.errs[0]
	if len(a.errs) > 1 {
		a.event.Err = errors.Join(a.errs...)
	}
	a.event.At = time.Now()
	a.relay.publish(a.event)
}

// operated is the Operated of an operation.
func operated(name string, op patterns.Operation) Operated {
	return Operated{Name: name, By: op.By, Why: op.Note, What: op.Kind.String(), For: op.For}
}

// reconfigured is the Operated of a Reconfigure.
func reconfigured(ctx context.Context, name string) Operated {
	o, _ := OperatorOf(ctx)
	return Operated{Name: name, By: o.Name, Why: o.Reason, What: Reconfigured}
}

// steer has the guard's actor carry out f, and a hear of it.
func (h *Handle) steer(ctx context.Context, a *audit, shard int, f func() error) error {
	result := make(chan error, 1)
	err := h.controlOr(ctx, func() {
		err := f()
		a.ended(shard, err)
		result <- err
	}, func(err error) {
		if errors.Is(err, ErrStopped) {
			err = h.gone()
		}
		a.ended(shard, err)
	})
	if err != nil {
		return err
	}
	return <-result
}

// auditMessage announces a command that came by message.
func (s *shell) auditMessage(msg any, sender *actor.PID, err error) {
	var e Operated
	switch m := msg.(type) {
	case Operate:
		if m.quiet {
			return
		}
		e = operated(s.name, m.Operation)
	case Reconfigure:
		if m.quiet {
			return
		}
		e = Operated{Name: s.name, By: m.By, Why: m.Note, What: Reconfigured}
	}
	if e.By == "" && sender != nil {
		e.By = holderKey(sender)
	}
	e.Err, e.At = err, time.Now()
	s.publish(e)
}
