package patterns

import "log/slog"

// Event is something that happened to a guard. The set is closed: each pattern
// lists its own. Events are values, and each knows how loudly to be logged.
type Event interface {
	slog.LogValuer
	// Level is the severity at which the event should be logged.
	Level() slog.Level
	// Source is the name of the guard it happened to.
	Source() string
}
