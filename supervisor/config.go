package supervisor

import (
	"fmt"
	"log/slog"

	"github.com/bulwark-go/bulwark/supervisor/intensity"
)

// Config says how children are supervised.
type Config struct {
	// Name is what events and log entries call the supervising actor. Default: the id
	// of its PID.
	Name string

	// Intensity is how many restarts, of all children together, are allowed in what
	// period. Default 10 in 10s.
	Intensity intensity.Config
}

// Validate returns every fault of c, joined; nil if there is none.
func (c Config) Validate() error { return c.Intensity.Validate() }

// Directive is what becomes of a child that failed.
type Directive uint8

const (
	// Restart replaces the child by a new incarnation, if the intensity allows. The
	// message that it failed on is lost, those behind it are kept.
	Restart Directive = iota
	// Stop ends the child.
	Stop
	// Resume lets the child go on as it is, with its next message.
	Resume
	// Escalate ends the child and hands the failure up.
	Escalate
)

// String returns the directive's name.
func (d Directive) String() string {
	switch d {
	case Restart:
		return "restart"
	case Stop:
		return "stop"
	case Resume:
		return "resume"
	case Escalate:
		return "escalate"
	}
	return fmt.Sprintf("directive(%d)", uint8(d))
}

// Option wires a strategy to its surroundings.
type Option func(*wiring)

// wiring is what Options set; nil means the default.
type wiring struct {
	decide func(reason any) Directive
	logger *slog.Logger
}

// Decide sets the function that chooses what becomes of a child, given what it
// panicked with. It may run in several supervising actors at once. Default: Restart.
func Decide(decide func(reason any) Directive) Option {
	return func(w *wiring) { w.decide = decide }
}

// WithLogger sets where giving up and failures of supervision itself are logged.
// Default: the logger of the actor system.
func WithLogger(logger *slog.Logger) Option {
	return func(w *wiring) { w.logger = logger }
}
