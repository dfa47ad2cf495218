package retry

import (
	"log/slog"
	"time"

	"github.com/bulwark-go/bulwark/patterns"
	"github.com/bulwark-go/bulwark/patterns/internal/eventqueue"
)

type (
	// Retried says that an attempt failed, and that the call is made again after a wait.
	Retried struct {
		Name    string // the retry's
		Attempt int    // that failed, from 1
		Wait    time.Duration
		Err     string // of the attempt, cut short if it is long
		At      time.Time
	}

	// Exhausted says that calls failed and are not made again, for the same cause. There is
	// one at most each second for a cause, about the latest of Calls that ended so since the
	// last one.
	Exhausted struct {
		Name     string // the retry's
		Cause    Cause
		Calls    int
		Attempts int
		Elapsed  time.Duration
		Err      string // the last error, cut short if it is long
		At       time.Time
	}

	// BudgetExhausted says that retries were not allowed: one at most each second, about
	// those since the last one.
	BudgetExhausted struct {
		Name       string // the budget's
		Suppressed int
		Total      uint64 // ever
		At         time.Time
	}

	// ConfigChanged says that a Reconfigure changed something.
	ConfigChanged struct {
		Name     string // the retry's
		From, To Config // with the defaults filled in
		At       time.Time
	}

	// BudgetChanged says that a Reconfigure of a budget changed something.
	BudgetChanged struct {
		Name     string       // the budget's
		From, To BudgetConfig // with the defaults filled in
		At       time.Time
	}
)

// Level is Debug: it is what a retry is for.
func (Retried) Level() slog.Level { return slog.LevelDebug }

// Level is Warn, but Debug if the callers themselves left.
func (e Exhausted) Level() slog.Level {
	if e.Cause == CauseCancelled {
		return slog.LevelDebug
	}
	return slog.LevelWarn
}

// Level is Warn: the backend fails more calls than may be retried.
func (BudgetExhausted) Level() slog.Level { return slog.LevelWarn }

// Level is Info.
func (ConfigChanged) Level() slog.Level { return slog.LevelInfo }

// Level is Info.
func (BudgetChanged) Level() slog.Level { return slog.LevelInfo }

// Source returns the retry's name.
func (e Retried) Source() string { return e.Name }

// Source returns the retry's name.
func (e Exhausted) Source() string { return e.Name }

// Source returns the budget's name.
func (e BudgetExhausted) Source() string { return e.Name }

// Source returns the retry's name.
func (e ConfigChanged) Source() string { return e.Name }

// Source returns the budget's name.
func (e BudgetChanged) Source() string { return e.Name }

// LogValue returns the event as a group.
func (e Retried) LogValue() slog.Value {
	return eventqueue.Group("retried", e.Name, e.At,
		slog.Int("attempt", e.Attempt), slog.Duration("wait", e.Wait), slog.String("error", e.Err))
}

// LogValue returns the event as a group.
func (e Exhausted) LogValue() slog.Value {
	return eventqueue.Group("exhausted", e.Name, e.At, slog.String("cause", string(e.Cause)), slog.Int("calls", e.Calls),
		slog.Int("attempts", e.Attempts), slog.Duration("elapsed", e.Elapsed), slog.String("error", e.Err))
}

// LogValue returns the event as a group.
func (e BudgetExhausted) LogValue() slog.Value {
	return eventqueue.Group("budget-exhausted", e.Name, e.At, slog.Int("suppressed", e.Suppressed), slog.Uint64("total", e.Total))
}

// LogValue returns the event as a group.
func (e ConfigChanged) LogValue() slog.Value {
	return eventqueue.Group("config-changed", e.Name, e.At, slog.Any("from", e.From), slog.Any("to", e.To))
}

// LogValue returns the event as a group.
func (e BudgetChanged) LogValue() slog.Value {
	return eventqueue.Group("config-changed", e.Name, e.At, slog.Any("from", e.From), slog.Any("to", e.To))
}

// WasExhausted reports whether e is an Exhausted.
func WasExhausted(e patterns.Event) bool { _, ok := e.(Exhausted); return ok }

// WasBudgetExhausted reports whether e is a BudgetExhausted.
func WasBudgetExhausted(e patterns.Event) bool { _, ok := e.(BudgetExhausted); return ok }
