package mailbox

import (
	"errors"
	"fmt"

	"github.com/asynkron/protoactor-go/actor"
)

// MaxCapacity is the largest Capacity.
const MaxCapacity = 1 << 24

// An Option sets one thing about the mailbox of a user actor. Options compose; of two
// that set the same, the later one holds.
type Option func(*settings)

// settings are what Options set. They are shared by the mailboxes of one New, and only
// read after it.
type settings struct {
	capacity int
	inline   bool
	faults   []error
}

// New returns what actor.WithMailbox takes: a mailbox for each user actor that is spawned
// with it. Without options it holds 65,536 messages and refuses more with a reply.
//
// If options are bad, or do not go together, there is no mailbox, and the error joins a
// *ConfigError for every fault.
func New(opts ...Option) (actor.MailboxProducer, error) {
	s := &settings{capacity: DefaultCapacity}
	for _, o := range opts {
		if o != nil {
			o(s)
		}
	}
	if err := errors.Join(s.faults...); err != nil {
		return nil, err
	}
	return func() actor.Mailbox {
		return NewCombining(Config{Capacity: s.capacity, Inline: s.inline})
	}, nil
}

// MustNew is New for options that are written down in the program, so that it fits into
// actor.WithMailbox. It panics if they are bad.
func MustNew(opts ...Option) actor.MailboxProducer {
	p, err := New(opts...)
	if err != nil {
		panic(err)
	}
	return p
}

// ConfigError is one fault of the options given to New, which returns all of them at
// once, joined.
type ConfigError struct {
	Option  string
	Value   any
	Problem string
}

func (e *ConfigError) Error() string {
	return fmt.Sprintf("mailbox: %s(%v): %s", e.Option, e.Value, e.Problem)
}

func (s *settings) fault(option string, value any, problem string, args ...any) {
	s.faults = append(s.faults, &ConfigError{Option: option, Value: value, Problem: fmt.Sprintf(problem, args...)})
}

// Capacity is how many messages may be queued, 1 to 16,777,216. The default is 65,536.
func Capacity(n int) Option {
	return func(s *settings) {
		if n < 1 || n > MaxCapacity {
			s.fault("Capacity", n, "must be 1 to %d", MaxCapacity)
		}
		s.capacity = n
	}
}

// Inline lets whoever sends to an idle actor run its turn on the spot. It saves a switch
// of goroutines, and puts the rules for what runs in a turn on the actor: see the
// package's. By default turns run on goroutines of the actor's dispatcher.
func Inline() Option { return func(s *settings) { s.inline = true } }
