package mailbox

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/bulwark-go/bulwark/mailbox/internal/lanes"
	"github.com/bulwark-go/bulwark/mailbox/internal/shelf"
)

const (
	// MaxCapacity is the largest Capacity.
	MaxCapacity = 1 << 24
	// MaxLanes is how many Lanes there may be.
	MaxLanes = lanes.MaxLanes
	// MaxWeight is the largest weight of a lane.
	MaxWeight = lanes.MaxWeight
)

// An Option sets one thing about the mailbox of a user actor. Options compose; of two
// that set the same, the later one holds.
type Option func(*settings)

// settings are what Options set. They are shared by the mailboxes of one New, and only
// read after it.
type settings struct {
	capacity         int
	full             Policy
	costOf           func(any) int64
	maxCost          int64
	age              time.Duration
	laneOf           func(any) int
	weights          []int
	target, interval time.Duration
	newest           bool
	ttl              time.Duration
	low, high        int
	protect          func(any) bool
	inline           bool

	simple bool // what a message is can be told without a function of the user's
	direct bool // it goes straight to the intake
	timed  bool // what becomes of it depends on the time
	faults []error
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
	s.check()
	if err := errors.Join(s.faults...); err != nil {
		return nil, err
	}
	s.simple = s.protect == nil && s.laneOf == nil && s.costOf == nil
	s.direct = s.simple && !s.inline && !s.shelved()
	s.timed = s.age > 0 || s.target > 0 || s.ttl > 0
	return func() actor.Mailbox { return newUser(s) }, nil
}

// check finds what does not go together.
func (s *settings) check() {
	switch {
	case s.full == DropLowest && s.laneOf == nil:
		s.fault("OnFull", DropLowest, "needs Lanes, which say what is lowest")
	case s.newest && s.target == 0:
		s.fault("NewestFirst", "", "needs CoDel, which says when")
	}
	if s.capacity > 0 && s.high > s.capacity {
		s.fault("WaterMarks", fmt.Sprintf("%d, %d", s.low, s.high), "the high mark must be at most the capacity, %d", s.capacity)
	}
}

// shelved reports whether the core's own queue, which is first in first out and refuses
// what is too much, will not do.
func (s *settings) shelved() bool {
	return s.full != Reject || s.costOf != nil || s.age > 0 || s.laneOf != nil || s.target > 0 || s.ttl > 0 || s.high > 0
}

func newUser(s *settings) *Combining {
	m := NewCombining(Config{Capacity: s.capacity, Inline: s.inline})
	m.user = &box{settings: s, m: m}
	m.user.reshut()
	if s.shelved() {
		m.user.shelf = shelf.New[letter](shelf.Config{
			Weights: s.weights, Count: s.capacity, Cost: s.maxCost, Age: s.age,
			Target: s.target, Interval: s.interval, Newest: s.newest,
		}, &chunks)
	}
	return m
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

// Cost bounds what all queued messages cost together, in a unit of yours, such as bytes:
// limit is 1 or more. of is called on the sender's goroutine, with the message without
// its envelope, and must be quick; less than 0 counts as 0. A message that costs more than
// limit is refused whatever the policy. If of panics, the message costs nothing. The
// default is no such bound.
func Cost(limit int64, of func(message any) int64) Option {
	return func(s *settings) {
		if limit < 1 {
			s.fault("Cost", limit, "the limit must be 1 or more")
		}
		if of == nil {
			s.fault("Cost", limit, "of must not be nil")
		}
		s.maxCost, s.costOf = limit, of
	}
}

// Sojourn makes the mailbox count as full while its oldest message has waited for longer
// than d, above 0. The default is no such bound.
func Sojourn(d time.Duration) Option {
	return func(s *settings) {
		if d <= 0 {
			s.fault("Sojourn", d, "must be above 0")
		}
		s.age = d
	}
}

// Policy says what becomes of whom when a mailbox is full.
type Policy uint8

// The policies. Whoever has to go is told why, with the error in brackets, if it asked for
// a reply.
const (
	// Reject refuses the newcomer (ErrFull).
	Reject Policy = iota
	// DropOldest drops the oldest messages to make room (ErrEvicted).
	DropOldest
	// DropLowest drops the oldest messages of the lowest lanes, as far as they are below
	// the newcomer's (ErrEvicted). If there are not enough it refuses the newcomer
	// (ErrFull). It needs Lanes.
	DropLowest
	// Block parks the senders that use this package's Send, until there is room or their
	// context ends. An ordinary Send has no context, and must not hold up its actor: it
	// is refused (ErrFull).
	Block
)

func (p Policy) String() string {
	if int(p) >= len(policyNames) {
		return fmt.Sprintf("Policy(%d)", uint8(p))
	}
	return policyNames[p]
}

var policyNames = [...]string{"Reject", "DropOldest", "DropLowest", "Block"}

// OnFull is what is done when the mailbox is full. The default is Reject.
func OnFull(p Policy) Option {
	return func(s *settings) {
		if int(p) >= len(policyNames) {
			s.fault("OnFull", p, "must be Reject, DropOldest, DropLowest or Block")
		}
		s.full = p
	}
}

// Lanes gives messages priorities, of which 0 is the lowest. weights are those of the
// priorities, the lowest first: 2 to 64 of them, each 1 to 1,048,576. While all lanes hold
// messages each gets its weight's share of the actor, so that the lowest never starves.
// The default weights, for priorities 0, 1 and 2, are 1, 4 and 16; without Lanes all
// messages are in one.
//
// of is called on the sender's goroutine, with the message without its envelope, and must
// be quick. What it returns is moved into the range of priorities; if it panics, that is 0.
func Lanes(of func(message any) int, weights ...int) Option {
	return func(s *settings) {
		if of == nil {
			s.fault("Lanes", weights, "of must not be nil")
		}
		if len(weights) == 0 {
			weights = []int{1, 4, 16}
		}
		if len(weights) < 2 || len(weights) > MaxLanes {
			s.fault("Lanes", weights, "there must be 2 to %d weights", MaxLanes)
		}
		for _, w := range weights {
			if w < 1 || w > MaxWeight {
				s.fault("Lanes", w, "a weight must be 1 to %d", MaxWeight)
			}
		}
		s.laneOf, s.weights = of, slices.Clone(weights)
	}
}

// CoDel drops messages when they wait too long (ErrOverload): one when those of a lane
// have all waited for target or longer during an interval, and then more and more, until
// waiting is short again. Both are above 0, and target is less than interval: a tenth is
// usual. Lanes are judged one by one. The default is that waiting is as long as it is.
func CoDel(target, interval time.Duration) Option {
	return func(s *settings) {
		if target <= 0 || target >= interval {
			s.fault("CoDel", fmt.Sprintf("%v, %v", target, interval), "target must be above 0 and less than interval")
		}
		s.target, s.interval = target, interval
	}
}

// NewestFirst serves the newest message of a lane first while CoDel drops there: under
// overload, those who have waited longest have most likely given up. It needs CoDel. By
// default the oldest is first.
func NewestFirst() Option { return func(s *settings) { s.newest = true } }

// TTL is how long a message is of use after it was queued, above 0. Older ones are refused
// when their turn comes, or when room is needed (ErrExpired). A message that is Expiring
// has a deadline of its own instead. By default only those expire.
func TTL(d time.Duration) Option {
	return func(s *settings) {
		if d <= 0 {
			s.fault("TTL", d, "must be above 0")
		}
		s.ttl = d
	}
}

// WaterMarks publishes Pressure when the mailbox holds as many messages as high says, and
// when it then holds no more than low. 0 <= low < high <= Capacity. It also gives credits
// to producers: see Produce. The default is neither.
func WaterMarks(low, high int) Option {
	return func(s *settings) {
		if low < 0 || low >= high {
			s.fault("WaterMarks", fmt.Sprintf("%d, %d", low, high), "low must be 0 or more, and less than high")
		}
		s.low, s.high = low, high
	}
}

// Protect makes the messages for which it returns true Urgent: never refused for lack of
// room, never dropped, and served first, as it is with control messages, replies of this
// package and proto.actor, and messages that are Laned so. It is for the replies that the
// actor waits for, which look like any message. It is called on the sender's goroutine,
// with the message without its envelope. By default nothing else is protected.
func Protect(is func(message any) bool) Option {
	return func(s *settings) {
		if is == nil {
			s.fault("Protect", "nil", "must not be nil")
		}
		s.protect = is
	}
}

// Inline lets whoever sends to an idle actor run its turn on the spot. It saves a switch
// of goroutines, and puts the rules for what runs in a turn on the actor: see the
// package's. By default turns run on goroutines of the actor's dispatcher.
func Inline() Option { return func(s *settings) { s.inline = true } }
