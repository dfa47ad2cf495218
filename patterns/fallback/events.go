package fallback

import (
	"log/slog"
	"time"

	"github.com/bulwark-go/bulwark/patterns"
	"github.com/bulwark-go/bulwark/patterns/internal/eventqueue"
)

type (
	// FellBack says that callers were given something in place of what failed: the first at
	// once, and then how many more, once a second.
	FellBack struct {
		Name  string // the fallback's
		By    string // the step that gave the last one, or "last-good" or "stale"
		Err   error  // why, of the last one
		Count uint64 // since the last FellBack
		At    time.Time
	}

	// Exhausted says that calls failed and so did their fallback; at most once a second.
	Exhausted struct {
		Name  string // the fallback's
		Err   *Error // the last one
		Count uint64 // since the last Exhausted
		At    time.Time
	}

	// ConfigChanged says that a Reconfigure changed something, and to what.
	ConfigChanged struct {
		Name               string // the fallback's
		Steps              string // their names
		LastGood, StaleFor time.Duration
		MaxKeys            int
		KeepRejections     bool
		At                 time.Time
	}
)

// Level is Warn: something fails.
func (FellBack) Level() slog.Level { return slog.LevelWarn }

// Level is Error: and nothing helps.
func (Exhausted) Level() slog.Level { return slog.LevelError }

// Level is Info.
func (ConfigChanged) Level() slog.Level { return slog.LevelInfo }

// Source returns the fallback's name.
func (e FellBack) Source() string { return e.Name }

// Source returns the fallback's name.
func (e Exhausted) Source() string { return e.Name }

// Source returns the fallback's name.
func (e ConfigChanged) Source() string { return e.Name }

// LogValue returns the event as a group.
func (e FellBack) LogValue() slog.Value {
	return eventqueue.Group("fell-back", e.Name, e.At, slog.String("by", e.By), slog.Any("error", e.Err), slog.Uint64("count", e.Count))
}

// LogValue returns the event as a group.
func (e Exhausted) LogValue() slog.Value {
	return eventqueue.Group("exhausted", e.Name, e.At, slog.Any("error", e.Err), slog.Uint64("count", e.Count))
}

// LogValue returns the event as a group.
func (e ConfigChanged) LogValue() slog.Value {
	return eventqueue.Group("config-changed", e.Name, e.At, slog.String("steps", e.Steps), slog.Duration("last_good", e.LastGood),
		slog.Duration("stale_for", e.StaleFor), slog.Int("max_keys", e.MaxKeys), slog.Bool("keep_rejections", e.KeepRejections))
}

// HasFallenBack reports whether e is a FellBack.
func HasFallenBack(e patterns.Event) bool { _, ok := e.(FellBack); return ok }

// WasExhausted reports whether e is an Exhausted.
func WasExhausted(e patterns.Event) bool { _, ok := e.(Exhausted); return ok }
