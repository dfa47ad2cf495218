package actors

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"log/slog"
	"maps"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/bulwark-go/bulwark/mailbox"
	"github.com/bulwark-go/bulwark/patterns"
	"github.com/bulwark-go/bulwark/supervisor/intensity"
)

// rootName is the id of a registry's root supervisor; a guard's id is this, a
// slash and its name.
const rootName = "bulwark"

// Registry keeps the guards of one actor system: the supervisor above them, their
// names, and the relay of their events. It is safe for concurrent use.
type Registry struct {
	system    *actor.ActorSystem
	log       *slog.Logger
	quiet     bool // does not log events
	intensity intensity.Config
	origin    time.Time
	root      *actor.PID
	relayPID  *actor.PID
	relay     *relay
	observers sync.WaitGroup // the goroutines that log and forward events
	closed    atomic.Bool
	directory *directory
	strict    *cells // of every Strict guard: none
}

// A RegistryOption configures a Registry.
type RegistryOption func(*Registry)

// WithLogger sets the logger of events and failures. The default is the actor
// system's.
func WithLogger(l *slog.Logger) RegistryOption {
	return func(r *Registry) {
		if l != nil {
			r.log = l
		}
	}
}

// WithoutEventLog leaves the events to whoever subscribes to them. The default is to
// log each event at its own level.
func WithoutEventLog() RegistryOption { return func(r *Registry) { r.quiet = true } }

// WithIntensity sets how often a guard's actor may be restarted in what period
// before its supervisor gives it up.
func WithIntensity(c intensity.Config) RegistryOption {
	return func(r *Registry) { r.intensity = c }
}

// NewRegistry starts a registry in system. One system has one registry; the error of
// a second is ErrNameTaken.
func NewRegistry(system *actor.ActorSystem, opts ...RegistryOption) (*Registry, error) {
	if system == nil {
		return nil, ErrNilSystem
	}
	r := &Registry{system: system, log: system.Logger(), origin: time.Now(), relay: new(relay), directory: newDirectory(), strict: noCells()}
	for _, o := range opts {
		if o != nil {
			o(r)
		}
	}
	if err := r.intensity.Validate(); err != nil {
		return nil, err
	}
	root, err := system.Root.SpawnNamed(actor.PropsFromProducer(
		func() actor.Actor { return newRoot(r) }, actor.WithMailbox(mailbox.Producer(mailbox.Config{}))), rootName)
	if err != nil {
		return nil, fmt.Errorf("%w: this actor system has a registry: %w", ErrNameTaken, err)
	}
	r.root = root
	r.relay.box = mailbox.NewCombining(mailbox.Config{Capacity: relayCapacity})
	r.relayPID = system.Root.SpawnPrefix(actor.PropsFromProducer(func() actor.Actor { return r.relay },
		actor.WithMailbox(func() actor.Mailbox { return r.relay.box })), rootName+"-events")
	r.forward()
	if !r.quiet {
		r.logEvents()
	}
	return r, nil
}

// System returns the actor system of the registry.
func (r *Registry) System() *actor.ActorSystem { return r.system }

// Get returns the guard of that name. What it returns is the pattern's own handle,
// such as a *circuitbreaker.Breaker.
func (r *Registry) Get(name string) (patterns.Guard, bool) {
	m, ok := r.directory.get(strings.TrimSpace(name))
	if !ok || m.part {
		return nil, false
	}
	return m.guard, true
}

// Guards iterates over all guards in the order of their names.
func (r *Registry) Guards() iter.Seq2[string, patterns.Guard] {
	return func(yield func(string, patterns.Guard) bool) {
		for name, m := range r.directory.sorted() {
			if !m.part && !yield(name, m.guard) {
				return
			}
		}
	}
}

// All iterates over the snapshots of all guards in the order of their names. Each is
// of its pattern's Snapshot type and taken when it is yielded.
func (r *Registry) All() iter.Seq2[string, any] {
	return func(yield func(string, any) bool) {
		for name, guard := range r.Guards() {
			g, ok := guard.(interface {
				Inspect(context.Context) (any, error)
			})
			if !ok {
				continue
			}
			snapshot, err := g.Inspect(context.Background())
			if err == nil && !yield(name, snapshot) {
				return
			}
		}
	}
}

// Find returns the guard of that name if it is a G, such as a *circuitbreaker.Breaker.
func Find[G patterns.Guard](r *Registry, name string) (guard G, ok bool) {
	if r == nil {
		return guard, false
	}
	g, _ := r.Get(name)
	guard, ok = g.(G)
	return guard, ok
}

// Each iterates over the guards that are a G, in the order of their names.
func Each[G patterns.Guard](r *Registry) iter.Seq2[string, G] {
	return func(yield func(string, G) bool) {
		if r == nil {
			return
		}
		for name, g := range r.Guards() {
			if guard, ok := g.(G); ok && !yield(name, guard) {
				return
			}
		}
	}
}

// ShutdownError says which guards still had permits out when Shutdown's context
// ended, and how many.
type ShutdownError struct {
	InFlight map[string]uint64
	Cause    error
}

func (e *ShutdownError) Error() string {
	return fmt.Sprintf("shut down with permits out: %v: %v", e.InFlight, e.Cause)
}

// Unwrap returns the context's error.
func (e *ShutdownError) Unwrap() error { return e.Cause }

// add sums what the shards of guards had out.
func (e *ShutdownError) add(other *ShutdownError) {
	for name, n := range other.InFlight {
		if n > 0 {
			e.InFlight[name] += n
			e.Cause = other.Cause
		}
	}
}

func (e *ShutdownError) orNil() error {
	if len(e.InFlight) == 0 {
		return nil
	}
	return e
}

// Shutdown stops every guard in order: nothing more is admitted and everybody who
// waits is answered; then permits in flight may end until ctx does; then the actors
// stop, and the subscribers' channels are closed, and the last events logged. If
// permits were left, the error is a *ShutdownError. Calling it again does nothing, and does not wait for the first.
func (r *Registry) Shutdown(ctx context.Context) error {
	if !r.closed.CompareAndSwap(false, true) {
		return nil
	}
	members := maps.Collect(r.directory.all())
	drained := make(map[string]<-chan struct{}, len(members))
	for name, m := range members {
		drained[name] = m.handle.beginDrain()
	}
	left := &ShutdownError{InFlight: map[string]uint64{}}
	for name, done := range drained {
		select {
		case <-done:
		case <-ctx.Done():
			h := members[name].handle
			left.add(&ShutdownError{InFlight: map[string]uint64{h.name: h.inFlight()}, Cause: ctx.Err()})
		}
	}
	stopActor(r.system, r.root)
	// Those under users' actors are left, and those spawned so soon after another of
	// the same name that its Terminated made proto.actor forget the wrong one.
	for _, m := range r.directory.all() {
		stopActor(r.system, m.handle.pid)
	}
	done := make(chan struct{})
	r.relay.tell(func(r *relay) { r.shut(); close(done) }, func() { close(done) })
	<-done
	r.relay.listeners.Store(0)
	stopActor(r.system, r.relayPID)
	r.awaitObservers(ctx)
	return left.orNil()
}

// awaitObservers lets the last events be logged and forwarded, unless a subscriber of
// the event stream keeps them for longer than ctx.
func (r *Registry) awaitObservers(ctx context.Context) {
	done := make(chan struct{})
	go func() {
		r.observers.Wait()
		close(done)
	}()
	select {
	case <-done:
	case <-ctx.Done():
	}
}

// enter asks the root for the names of a guard's actors and, unless they run under
// another one, to spawn them. The reply is the member that has the first name now.
type enter struct {
	names   []string
	members []*member
	spawn   func(actor.SpawnerContext) error // nil: only the names
	share   bool                             // an equal one that exists will do
}

// entered is the reply to enter.
type entered struct {
	member *member
	fresh  bool
	err    error
}

// remove frees a name.
type remove struct {
	name   string
	member *member
}

// gaveUp says that a supervisor gave a guard up.
func (r *Registry) gaveUp(m *member, reason any) {
	r.relay.publish(GaveUp{Name: m.handle.name, Reason: reason, Policy: m.handle.shell.policy, At: time.Now()})
}

func (r *Registry) askRoot(msg any) entered {
	reply, err := Ask[entered](context.Background(), r.system, r.root, msg)
	if err != nil {
		return entered{err: errors.Join(ErrClosed, err)}
	}
	return reply
}
