package actors

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/bulwark-go/bulwark/mailbox"
)

const (
	// relayCapacity bounds the events on their way to the subscribers.
	relayCapacity = 1 << 14
	// DefaultBuffer is how many events a subscriber may lag behind.
	DefaultBuffer = 256
)

// relay carries events from the guards' turns to everybody who listens, in order
// for each guard, on a goroutine of its own. Each subscriber has a bounded queue,
// and one that is full loses the event; so nobody waits for anybody.
type relay struct {
	box       *mailbox.Combining
	listeners atomic.Int32 // 0: nobody would hear an event
	lost      atomic.Uint64
	overflow  atomic.Uint64 // events there was no room for, which nobody was told of yet

	// Owned by the relay's turn.
	subscribers []*subscriber
	closed      bool
}

type subscriber struct {
	events chan Event
	wants  func(Event) bool
	missed uint64
	total  *atomic.Uint64
	notes  bool // it is the log

	stopped bool // owned by the relay's turn
}

// order is something for the relay to do. It takes its place among the events, unless
// they leave no room: then it overtakes them.
type order struct {
	run     func(*relay)
	instead func() // runs if the relay has stopped
	box     *mailbox.Combining
	lane    mailbox.Lane
}

// Lane implements mailbox.Laned.
func (o order) Lane() mailbox.Lane { return o.lane }

// Refused implements mailbox.Refuser.
func (o order) Refused(reason error) any {
	if errors.Is(reason, mailbox.ErrFull) {
		o.lane = mailbox.Urgent
		o.box.PostUserMessage(o)
	} else {
		o.instead()
	}
	return nil
}

func (r *relay) tell(run func(*relay), instead func()) {
	r.box.PostUserMessage(order{run: run, instead: instead, box: r.box})
}

// note is a line for the registry's logger, which is foreign code and so must not run
// in a turn. It travels with the events, and only to the log.
type note struct {
	level   slog.Level
	source  string
	message string
	attrs   []slog.Attr
}

func (n note) Level() slog.Level    { return n.level }
func (n note) Source() string       { return n.source }
func (n note) LogValue() slog.Value { return slog.GroupValue(n.attrs...) }

// note is called in a turn, or outside.
func (s *shell) note(level slog.Level, message string, attrs ...slog.Attr) {
	attrs = append([]slog.Attr{slog.String("guard", s.name)}, attrs...)
	s.relay.publish(note{level: level, source: s.name, message: message, attrs: attrs})
}

// publish is called in a turn. It does not wait.
func (r *relay) publish(ev Event) {
	if r.listeners.Load() > 0 {
		r.box.PostUserMessage(dispatch{ev, r})
	}
}

// dispatch is an event on its way.
type dispatch struct {
	Event
	relay *relay
}

// Refused implements mailbox.Refuser: what there is no room for is counted.
func (p dispatch) Refused(reason error) any {
	if errors.Is(reason, mailbox.ErrFull) {
		p.relay.overflow.Add(1)
		p.relay.lost.Add(1)
	}
	return nil
}

// Receive is the relay's turn.
func (r *relay) Receive(c actor.Context) {
	switch msg := c.Message().(type) {
	case order:
		msg.run(r)
	case dispatch:
		overflow := r.overflow.Swap(0)
		_, private := msg.Event.(note)
		for _, s := range r.subscribers {
			s.missed += overflow
			if !private || s.notes {
				s.offer(msg.Event)
			}
		}
	}
}

func (r *relay) add(s *subscriber) {
	if r.closed || s.stopped {
		close(s.events)
		return
	}
	r.subscribers = append(r.subscribers, s)
}

func (r *relay) drop(s *subscriber) {
	s.stopped = true // should this overtake add
	if i := slices.Index(r.subscribers, s); i >= 0 {
		r.subscribers = slices.Delete(r.subscribers, i, i+1)
		close(s.events)
	}
}

// shut ends every subscription.
func (r *relay) shut() {
	r.closed = true
	for _, s := range r.subscribers {
		close(s.events)
	}
	r.subscribers = nil
}

// offer puts ev into the subscriber's queue if there is room, after word of what it
// missed before.
func (s *subscriber) offer(ev Event) {
	if !s.wants(ev) {
		return
	}
	if s.missed > 0 {
		select {
		case s.events <- Missed{Count: s.missed, At: time.Now()}:
			s.missed = 0
		default:
		}
	}
	if s.missed == 0 {
		select {
		case s.events <- ev:
			return
		default:
		}
	}
	s.missed++
	s.total.Add(1)
}

// A SubscribeOption narrows or sizes a subscription.
type SubscribeOption func(*subscription)

type subscription struct {
	buffer  int
	notes   bool
	types   []func(Event) bool // of Only
	sources []string           // of From
	matches []func(Event) bool // of Matching
}

// Buffer sets how many events the subscriber may lag behind before it loses some.
// The default is 256; less than 1 means 1.
func Buffer(n int) SubscribeOption { return func(s *subscription) { s.buffer = max(1, n) } }

// Only narrows a subscription to events of type E; two of them, to events of either
// type.
func Only[E Event]() SubscribeOption {
	is := func(ev Event) bool { _, ok := ev.(E); return ok }
	return func(s *subscription) { s.types = append(s.types, is) }
}

// From narrows a subscription to events of the guard of that name; two of them, to
// events of either guard. With Only, both must hold.
func From(name string) SubscribeOption {
	return func(s *subscription) { s.sources = append(s.sources, strings.TrimSpace(name)) }
}

// Matching narrows a subscription to the events for which f is true, as well as
// everything else that narrows it. f runs on the relay's goroutine, must be quick, and
// counts as false where it panics.
func Matching(f func(Event) bool) SubscribeOption {
	return func(s *subscription) {
		if f != nil {
			s.matches = append(s.matches, f)
		}
	}
}

func (s *subscription) filter(ev Event) (wanted bool) {
	if len(s.sources) > 0 && !slices.Contains(s.sources, ev.Source()) {
		return false
	}
	if len(s.types) > 0 && !slices.ContainsFunc(s.types, func(is func(Event) bool) bool { return is(ev) }) {
		return false
	}
	defer func() {
		if recover() != nil { // a panicking filter wants nothing
			wanted = false
		}
	}()
	for _, f := range s.matches {
		if !f(ev) {
			return false
		}
	}
	return true
}

// Subscribe returns the events from now on, in order for each guard. A subscriber
// that lags behind its buffer loses events and gets a Missed instead; the guards
// and the other subscribers notice nothing. stop ends the subscription and closes
// events; calling it again does nothing. Shutdown closes events too.
func (r *Registry) Subscribe(opts ...SubscribeOption) (events <-chan Event, stop func()) {
	sub := subscription{buffer: DefaultBuffer}
	for _, o := range opts {
		if o != nil {
			o(&sub)
		}
	}
	s := &subscriber{events: make(chan Event, sub.buffer), wants: sub.filter, total: &r.relay.lost, notes: sub.notes}
	r.relay.listeners.Add(1)
	r.relay.tell(func(r *relay) { r.add(s) }, func() { close(s.events) })
	var stopped atomic.Bool
	return s.events, func() {
		if stopped.CompareAndSwap(false, true) {
			r.relay.listeners.Add(-1)
			r.relay.tell(func(r *relay) { r.drop(s) }, func() {})
		}
	}
}

// Missed counts the events that subscribers lost because they lagged behind.
func (r *Registry) Missed() uint64 { return r.relay.lost.Load() }

// forward publishes every event on proto.actor's EventStream, from a goroutine of
// its own: the stream runs its subscribers on the publisher, who may be slow, panic,
// or call back.
func (r *Registry) forward() {
	events, _ := r.Subscribe(Buffer(relayCapacity))
	r.observers.Go(func() {
		for ev := range events {
			r.forwardOne(ev)
		}
	})
}

func (r *Registry) forwardOne(ev Event) {
	defer func() {
		if p := recover(); p != nil {
			r.log.Error("a subscriber of the event stream panicked", slog.Any("event", ev), slog.Any("panic", p))
		}
	}()
	r.system.EventStream.Publish(ev)
}

// logEvents logs every event at its own level.
func (r *Registry) logEvents() {
	events, _ := r.Subscribe(Buffer(relayCapacity), func(s *subscription) { s.notes = true })
	go func() {
		for ev := range events {
			r.logOne(ev)
		}
	}()
}

func (r *Registry) logOne(ev Event) {
	defer func() { _ = recover() }() // there is no other place to say that the logger panicked
	if n, ok := ev.(note); ok {
		r.log.LogAttrs(context.Background(), n.level, n.message, n.attrs...)
		return
	}
	r.log.Log(context.Background(), ev.Level(), "guard", slog.Any("event", ev))
}
