package mailbox

import (
	"runtime"
	"sync/atomic"
	"time"

	"github.com/asynkron/protoactor-go/actor"
)

const (
	cacheLine = 64

	// DefaultCapacity is how many Ordinary messages may be queued.
	DefaultCapacity = 1 << 16
	// DefaultBudget is how many messages of others a caller serves before it hands
	// the rest over. Handing over costs a goroutine switch, and under a tight load
	// the fresh goroutine waits its turn behind all others, so the bound is high.
	DefaultBudget = 2048
	// spinTries loads take about a microsecond: some thirty turns.
	spinTries = 1000
)

// The state word. 0 is idle and empty, the only value from which a turn starts
// without looking any further.
const (
	running       uint32 = 1 << iota // somebody owns the turn
	suspended                        // only system messages run
	stopped                          // everything is refused
	systemWaits                      // the queue of that name may hold something
	urgentWaits                      //
	ordinaryWaits                    //
	unopened                         // Start is yet to come
	gated                            // there is a gate
	paused                           // as suspended, but an operator's doing
	closed                           // ordinary messages are refused
)

// barred says that not everybody may post or be served.
const barred = stopped | gated | closed

// Handler is what a Combining mailbox serves beside proto.actor's invoker: it takes
// posted Nodes straight, without an actor.Context.
type Handler interface {
	// Turn handles one Node. It runs in a turn.
	Turn(n *Node)
	// Refuse answers a Node that Turn will not handle, or, if Turn panicked on it,
	// may have handled in part. It runs on any goroutine.
	Refuse(n *Node, reason error)
	// After runs, outside of any turn, once for some time that Combining.After was
	// called in a turn.
	After()
}

// Config of a Combining mailbox. The zero value means the defaults.
type Config struct {
	// Capacity is how many messages may be queued before Ordinary ones are refused.
	// Default 65,536.
	Capacity int
	// Budget bounds how many messages of others one caller serves. Default 2,048.
	Budget int
	// Inline lets posters run the turn themselves. Off, every turn runs on a goroutine
	// from the actor's dispatcher. See the package's rules before turning it on.
	Inline bool
	// Handler takes Nodes. It may be nil if none are posted.
	Handler Handler
}

// Combining is a flat-combining mailbox. Its methods may be called from any
// goroutine, except where they say otherwise.
type Combining struct {
	// The line that callers fight for, and all else that a turn on the spot writes: it
	// has the line anyway.
	word       atomic.Uint32
	wantsAfter bool
	stopping   bool
	turns      uint64 // all there were
	started    int64  // when the turn that is being timed began, or 0
	_          [cacheLine - 24]byte

	// Set before Start, and only read then.
	spin       bool
	cfg        Config
	invoker    actor.MessageInvoker
	dispatcher actor.Dispatcher
	host       host
	continued  func() // runHanded, built once
	born       time.Time
	user       *box // nil unless the mailbox is a user actor's

	tally tally // owned by the turn

	_       [cacheLine]byte
	depth   atomic.Int64 // Ordinary and Urgent messages queued
	refused atomic.Uint64
	gate    atomic.Pointer[gate] // not nil while the word says gated
	system  queue
	urgent  queue
	// ordinary is where callers queue who did not get the turn.
	ordinary queue
}

// NewCombining returns a mailbox for one pattern actor. New makes those of user actors.
func NewCombining(cfg Config) *Combining {
	if cfg.Capacity <= 0 {
		cfg.Capacity = DefaultCapacity
	}
	if cfg.Budget <= 0 {
		cfg.Budget = DefaultBudget
	}
	m := &Combining{cfg: cfg, born: time.Now(), spin: runtime.GOMAXPROCS(0) > 1}
	m.continued = m.runHanded
	m.word.Store(running | unopened) // the spawner owns the turn until Start
	return m
}

// Producer returns what actor.WithMailbox takes: a Combining mailbox per actor.
func Producer(cfg Config) actor.MailboxProducer {
	return func() actor.Mailbox { return NewCombining(cfg) }
}

// RegisterHandlers is called by proto.actor while it spawns the actor.
func (m *Combining) RegisterHandlers(invoker actor.MessageInvoker, dispatcher actor.Dispatcher) {
	m.invoker, m.dispatcher = invoker, dispatcher
	m.host.init(invoker)
}

// Start opens the mailbox: what was posted until now is run, Started first.
func (m *Combining) Start() {
	m.word.And(^unopened)
	if m.user != nil {
		m.user.opened()
	}
	if m.cfg.Inline {
		m.Exit()
	} else {
		m.dispatcher.Schedule(m.continued)
	}
}

// UserMessageCount returns how many user messages are queued.
func (m *Combining) UserMessageCount() int {
	n := int(m.depth.Load())
	if m.user != nil && m.user.shelf == nil {
		n += m.user.intake.len()
	}
	return n
}

// TryEnter takes the turn if the actor is idle, or becomes so within about a
// microsecond. The caller then owns the actor's state until it calls Exit, which it
// must do even if it panics (see Crashed). In between it must do only what a turn
// may do.
func (m *Combining) TryEnter() bool {
	if m.word.CompareAndSwap(0, running) || m.spin && m.spinEnter() {
		m.begin()
		return true
	}
	return false
}

// TryEnterIdle is TryEnter for a caller that does not wait for the turn at all.
func (m *Combining) TryEnterIdle() bool {
	if !m.word.CompareAndSwap(0, running) {
		return false
	}
	m.begin()
	return true
}

func (m *Combining) spinEnter() bool {
	for range spinTries {
		w := m.word.Load()
		if w == 0 && m.word.CompareAndSwap(0, running) {
			return true
		}
		if w&(suspended|paused|barred) != 0 {
			return false
		}
	}
	return false
}

// Exit ends a turn that TryEnter began: what was queued meanwhile is served first.
func (m *Combining) Exit() {
	m.end()
	if m.wantsAfter || !m.word.CompareAndSwap(running, 0) {
		m.serve(m.cfg.Budget)
	}
}

// Crashed is Exit for a turn that panicked with reason, or, if reason is nil, that
// exited its goroutine, while it handled msg. The supervisor decides what becomes of
// the actor. The caller has answered msg.
func (m *Combining) Crashed(reason, msg any) {
	if m.escalate(reason, msg); reason == nil {
		m.handOver()
		return
	}
	m.Exit()
}

// After asks for one call of the Handler's After as soon as no turn runs. It is
// called in a turn.
func (m *Combining) After() { m.wantsAfter = true }

// Post queues n, whose sender did not get the turn with TryEnter. On an error, which
// is ErrFull, ErrStopped or what a Gate refuses with, n stays the caller's.
func (m *Combining) Post(n *Node, lane Lane) error {
	if m.word.Load()&barred != 0 {
		passes, err := m.bar(n.value, n.plain, lane)
		if err != nil {
			return err
		}
		n.passes = passes
	}
	depth := m.depth.Add(1)
	if lane == Ordinary && depth > int64(m.cfg.Capacity) && n.passes == 0 && m.refusable(n.value, n.plain) {
		m.depth.Add(-1)
		m.refused.Add(1)
		return ErrFull
	}
	n.since = m.clock()
	if lane == Urgent {
		m.urgent.push(n)
		m.announce(urgentWaits)
	} else {
		passes := n.passes != 0 // from the push on, n is the turn's
		m.ordinary.push(n)
		m.announceOrdinary(passes)
	}
	return nil
}

// announceOrdinary is announce for an Ordinary message, which whatever shut meanwhile has
// not seen.
func (m *Combining) announceOrdinary(passes bool) {
	if m.announce(ordinaryWaits)&(gated|closed) != 0 && !passes {
		m.PostSystemMessage(purge{})
	}
}

// refusable reports whether an Ordinary message may be refused because the mailbox is
// full. Before Start nobody could be answered.
func (m *Combining) refusable(msg any, plain bool) bool {
	return m.word.Load()&unopened == 0 && (!plain || !trails(msg))
}

// trails reports whether msg must arrive whatever the load, after what was sent before: a
// poison pill, or the timeout that is given only once.
func trails(msg any) bool {
	switch actor.UnwrapEnvelopeMessage(msg).(type) {
	case *actor.PoisonPill, *actor.ReceiveTimeout:
		return true
	}
	return false
}

// announce says that a queue holds something, and sees to it that somebody serves
// it: the owner of the turn if there is one, or else this goroutine. It returns the
// word that it said so in.
func (m *Combining) announce(flag uint32) uint32 {
	for {
		w := m.word.Load()
		next := w | flag
		own := w&running == 0 && runnable(next)
		if own {
			next |= running
		}
		if next == w || m.word.CompareAndSwap(w, next) {
			if own {
				m.takeOver()
			}
			return next
		}
	}
}

// runnable reports whether word w names something that may be served now.
func runnable(w uint32) bool {
	switch {
	case w&systemWaits != 0:
		return true
	case w&(suspended|paused) != 0 && w&stopped == 0:
		return false
	}
	return w&(urgentWaits|ordinaryWaits) != 0
}

// takeOver serves as the owner that announce just became.
func (m *Combining) takeOver() {
	if m.cfg.Inline {
		m.serve(m.cfg.Budget)
		return
	}
	m.dispatcher.Schedule(m.continued)
}

// PostUserMessage is called by proto.actor.
func (m *Combining) PostUserMessage(msg any) {
	if m.user != nil {
		m.user.post(msg)
		return
	}
	if expandBatch(msg, m.PostUserMessage) {
		return
	}
	if m.cfg.Inline && m.word.CompareAndSwap(0, running) {
		m.begin()
		m.receive(msg)
		m.Exit()
		return
	}
	n := plainNode(msg)
	if err := m.Post(n, laneOf(msg)); err != nil {
		m.refuse(n.recycle(), err)
	}
}

// PostSystemMessage is called by proto.actor.
func (m *Combining) PostSystemMessage(msg any) {
	if who, ok := msg.(*whoIs); ok {
		who.box = m.user
		return
	}
	m.system.push(plainNode(msg))
	m.announce(systemWaits)
}
