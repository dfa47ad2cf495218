// Package zaplog sends what Bulwark and proto.actor log to a [zap.Logger].
//
// Bulwark itself logs through log/slog only; importing this package is what brings
// zap into a program.
//
//	system := actor.NewActorSystem(zaplog.ForActorSystem(z)) // what proto.actor logs
//	log := zaplog.Logger(z)                                  // a *slog.Logger for everything else
//	go zaplog.LogEvents(z, events)                           // each event of the guards, at its own level
//
// A registry logs its events to the actor system's log already. LogEvents is for
// events that are to go elsewhere, or to be filtered: give the registry
// actors.WithoutEventLog then.
//
// A nil zap.Logger logs nothing, in all three.
//
// # Sampling
//
// A dependency that flaps, or an actor that crashes in a loop, can log the same line
// thousands of times a second. So of each message at each level, a second's first
// 100 entries are logged and every 100th after them. [Sample] changes the numbers
// and [Unsampled] turns sampling off. The first entry of a message in each period is
// always logged, within zap's own limit: it counts messages by a 12-bit hash, so two
// that collide are counted as one.
package zaplog

import (
	"context"
	"fmt"
	"log/slog"
	"math"
	"time"

	"github.com/asynkron/protoactor-go/actor"
	"go.uber.org/zap"
	"go.uber.org/zap/exp/zapslog"
	"go.uber.org/zap/zapcore"

	"github.com/bulwark-go/bulwark/patterns"
)

// Defaults of Sample.
const (
	DefaultPeriod     = time.Second
	DefaultFirst      = 100
	DefaultThereafter = 100
)

// noStack is above every level. A stack trace from here would show the relay that
// logs, not the guard that something happened to.
const noStack = slog.Level(math.MaxInt)

type sampling struct {
	off               bool
	period            time.Duration
	first, thereafter int
}

// An Option changes how much is logged.
type Option func(*sampling)

// Sample logs, of the entries that share level and message, the first of each
// period and then every thereafter-th; with thereafter 0, none. A period of 0 or less
// means DefaultPeriod, and first is at least 1. A negative thereafter counts as 0.
func Sample(period time.Duration, first, thereafter int) Option {
	if period <= 0 {
		period = DefaultPeriod
	}
	return func(s *sampling) {
		*s = sampling{period: period, first: max(first, 1), thereafter: max(thereafter, 0)}
	}
}

// Unsampled logs everything.
func Unsampled() Option { return func(s *sampling) { s.off = true } }

// Logger returns a slog.Logger that writes to z's core, under z's name and with its
// fields and level.
func Logger(z *zap.Logger, opts ...Option) *slog.Logger {
	if z == nil {
		return slog.New(slog.DiscardHandler)
	}
	s := sampling{period: DefaultPeriod, first: DefaultFirst, thereafter: DefaultThereafter}
	for _, opt := range opts {
		if opt != nil {
			opt(&s)
		}
	}
	core := z.Core()
	if !s.off {
		core = zapcore.NewSamplerWithOptions(core, s.period, s.first, s.thereafter)
	}
	return slog.New(zapslog.NewHandler(core, zapslog.WithName(z.Name()), zapslog.AddStacktraceAt(noStack)))
}

// ForActorSystem makes an actor system log to z, each entry with the system's ID.
func ForActorSystem(z *zap.Logger, opts ...Option) actor.ConfigOption {
	return actor.WithLoggerFactory(func(system *actor.ActorSystem) *slog.Logger {
		return Logger(z, opts...).With("system", system.ID)
	})
}

// LogEvents logs every event at its own level, until events closes. The message is
// the guard's name and the event's type, such as "bank: circuitbreaker.StateChanged",
// so that one guard's events do not hide another's when they are sampled; the event's
// own attributes are under "event". A nil z still drains events.
func LogEvents(z *zap.Logger, events <-chan patterns.Event, opts ...Option) {
	log := Logger(z, opts...)
	for e := range events {
		if e != nil {
			log.LogAttrs(context.Background(), e.Level(), fmt.Sprintf("%s: %T", e.Source(), e), slog.Any("event", e))
		}
	}
}
