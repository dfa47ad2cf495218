package middleware

import (
	"fmt"
	"log/slog"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/bulwark-go/bulwark/actors"
	"github.com/bulwark-go/bulwark/actors/internal/errands"
	"github.com/bulwark-go/bulwark/mailbox"
	"github.com/bulwark-go/bulwark/patterns"
)

// An Option says what the guard is told of a message. The functions run in the turn of
// the actor that is guarded, or that sends; one that panics is logged, and counts as not
// given for that message.
type Option func(*wiring)

type wiring struct {
	key      func(any) string
	weight   func(any) int
	priority func(any) patterns.Priority
	only     func(any) bool
	judge    *patterns.Judge
}

func wire(opts []Option) (w wiring) {
	for _, o := range opts {
		if o != nil {
			o(&w)
		}
	}
	return w
}

// Key sets the function that says whose budget a message is charged to, for guards that
// have keys. Default: none.
func Key(of func(msg any) string) Option { return func(w *wiring) { w.key = of } }

// Weight sets the function that says how many permits' worth of work a message is. 0
// means 1; what the guard could never grant, such as less, is refused and never stashed.
// Default: 1.
func Weight(of func(msg any) int) Option { return func(w *wiring) { w.weight = of } }

// Priority sets the function that says how important a message is. Default:
// patterns.Normal.
func Priority(of func(msg any) patterns.Priority) Option {
	return func(w *wiring) { w.priority = of }
}

// Only sets the function that says which messages are guarded at all; it is not asked
// about those that never are (see the package). Default: all of them.
func Only(guarded func(msg any) bool) Option { return func(w *wiring) { w.only = guarded } }

// Judge sets how a reply becomes an outcome: an error that is replied is judged as an
// error, any other reply as a result. Default: as the guard's own terms say, or
// patterns.Classify.
func Judge(rules ...patterns.Rule) Option {
	return func(w *wiring) { w.judge = patterns.NewJudge(rules...) }
}

// request is what the guard is asked for msg.
func (w *wiring) request(log *slog.Logger, msg any) (r patterns.Request) {
	if w.key != nil {
		guarded(log, "Key", msg, func() { r.Key = w.key(msg) })
	}
	if w.weight != nil {
		guarded(log, "Weight", msg, func() { r.Weight = w.weight(msg) })
	}
	if w.priority != nil {
		guarded(log, "Priority", msg, func() { r.Priority = w.priority(msg) })
	}
	return r
}

// selects reports whether msg is to be guarded.
func (w *wiring) selects(log *slog.Logger, msg any) bool {
	selected := true
	if exempt(msg) {
		return false
	}
	if w.only != nil {
		guarded(log, "Only", msg, func() { selected = w.only(msg) })
	}
	return selected
}

// guarded runs a user's function.
func guarded(log *slog.Logger, option string, msg any, f func()) {
	defer func() {
		if r := recover(); r != nil {
			log.Warn("a function of actor middleware panicked, and is left out of account",
				slog.String("option", option), slog.String("message", fmt.Sprintf("%T", msg)), slog.Any("panic", r))
		}
	}()
	f()
}

// own are the messages of this package, which only the one that they are for takes.
type own interface{ ofMiddleware() }

// exempt reports whether msg is never guarded: it begins no work, or ends some.
func exempt(msg any) bool {
	switch m := msg.(type) {
	case actor.SystemMessage, actor.AutoReceiveMessage, actor.AutoRespond, *actor.ReceiveTimeout,
		*actor.DeadLetterResponse, own, errands.Note, error, actors.Granted, actors.Rejected, actors.Demand, actors.Ack, actors.Refused:
		return true
	case interface{ Lane() mailbox.Lane }:
		return m.Lane() == mailbox.Urgent
	}
	return false
}
