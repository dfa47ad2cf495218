package actors

import (
	"context"
	"sync/atomic"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/bulwark-go/bulwark/mailbox"
	"github.com/bulwark-go/bulwark/patterns"
)

// The life of a call's answer. The requester moves it from pending to parked or
// abandoned, the actor to answered; whoever comes second sees what the first did.
const (
	pending uint32 = iota
	parked
	answered
	abandoned
)

// spinLoads take about a microsecond: a queued call is usually answered sooner than
// its goroutine could be parked and woken.
const spinLoads = 1000

type callKind uint8

const (
	callAcquire callKind = iota
	callReport
	callRelease
	callWithdraw
	callControl
	callConsult
)

// call is a message in the in-process fast path, with room for its answer. It is
// pooled: its requester puts it back after it saw the answer, the actor if there is
// none to wait for. A call whose requester left is left to the garbage collector.
type call struct {
	node  mailbox.Node
	kind  callKind
	state atomic.Uint32
	wake  chan struct{}

	// What is asked.
	request patterns.Request
	permit  uint64
	outcome patterns.Outcome
	elapsed time.Duration
	credit  *credit     // of an acquire that stands in for a producer
	spend   bool        // of an acquire: its permit ends as it is handed out
	cell    *cell       // of an acquire in Leased mode: where to put a lease
	target  *call       // of a withdraw
	control func()      // runs in the turn
	instead func(error) // hears why control did not; may be nil

	// question is that of a consult, whose answer may be elsewhere.
	question any

	// The answer.
	granted uint64
	err     error
	reply   any // to a question

	// While it waits for capacity. A request that came by message has a sender.
	line         *line
	prev, next   *call // in its line
	older, newer *call // of all that wait
	sender       *actor.PID
	ref          uint64
	holder       *holder
	waitsBy      patterns.Instant // its own deadline; 0 for none
	waitsUntil   patterns.Instant // as the rules say
	waitSequence uint64
	errand       uint64 // the number under which its answer is fetched; 0 if it is not
	unsent       bool   // not yet
}

func newCall() any {
	c := &call{wake: make(chan struct{}, 1)}
	c.node.Init(c)
	return c
}

// forgo says that control was not run to its end.
func (c *call) forgo(err error) {
	if c.instead != nil {
		c.instead(err)
	}
}

// answer stores the result and reports whether the requester is still there.
func (c *call) answer(id uint64, err error) bool {
	c.granted, c.err = id, err
	for {
		switch state := c.state.Load(); state {
		case abandoned:
			return false
		case parked:
			if c.state.CompareAndSwap(parked, answered) {
				c.wake <- struct{}{}
				return true
			}
		default:
			if c.state.CompareAndSwap(pending, answered) {
				return true
			}
		}
	}
}

// await waits for the answer. It returns false if ctx ended first; the call then
// belongs to the actor.
func (c *call) await(ctx context.Context, spin bool) bool {
	if spin {
		for range spinLoads {
			if c.state.Load() == answered {
				return true
			}
		}
	}
	if !c.state.CompareAndSwap(pending, parked) {
		return true
	}
	done := ctx.Done()
	if done == nil {
		<-c.wake
		return true
	}
	select {
	case <-c.wake:
		return true
	case <-done:
	}
	if c.state.CompareAndSwap(parked, abandoned) {
		return false
	}
	<-c.wake // the answer crossed the cancellation
	return true
}

func (s *shell) recycle(c *call) {
	c.target = nil
	s.pool.Put(c)
}

func (s *shell) reply(to *actor.PID, msg any) {
	s.outbox.put(&letter{to: to, msg: msg})
	s.mailbox.After()
}
