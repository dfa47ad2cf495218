package mailbox

import (
	"fmt"
	"log/slog"
	"math"

	"github.com/asynkron/protoactor-go/actor"
)

// serve runs what is queued and gives the turn up. After budget messages it hands
// the rest to a fresh goroutine. The caller owns the turn.
func (m *Combining) serve(budget int) {
	for served := 0; ; served++ {
		w := m.word.Load()
		if !runnable(w) {
			if m.release(w) {
				return
			}
			continue
		}
		if served >= budget {
			m.handOver()
			return
		}
		m.serveOne(w)
	}
}

// release gives the turn up if the word is still w, and then runs the Handler's
// After if a turn asked for it.
func (m *Combining) release(w uint32) bool {
	after, onHanded := m.wantsAfter, m.tally.onHanded
	m.wantsAfter, m.tally.onHanded = false, false
	if !m.word.CompareAndSwap(w, w&^running) {
		m.wantsAfter, m.tally.onHanded = after, onHanded
		return false
	}
	if after {
		m.cfg.Handler.After()
	}
	return true
}

// handOver passes the turn to a goroutine of the dispatcher's.
func (m *Combining) handOver() {
	m.tally.handovers++
	m.dispatcher.Schedule(m.continued)
}

// runHanded serves on a goroutine that does nothing else, so it needs no budget.
func (m *Combining) runHanded() {
	m.tally.onHanded = true
	m.serve(math.MaxInt)
}

func (m *Combining) serveOne(w uint32) {
	switch {
	case w&systemWaits != 0:
		if n := m.next(&m.system, systemWaits); n != nil {
			m.serveSystem(n.recycle())
		}
	case w&urgentWaits != 0:
		m.serveUser(m.next(&m.urgent, urgentWaits), Urgent)
	case m.user != nil:
		m.user.serve()
	default:
		m.serveUser(m.next(&m.ordinary, ordinaryWaits), Ordinary)
	}
}

// next pops q, and clears its flag when it is empty.
func (m *Combining) next(q *queue, flag uint32) *Node {
	if n := q.pop(); n != nil {
		return n
	}
	return m.nextAgain(q, flag)
}

// nextAgain looks into q, which seemed empty, once more after it cleared the flag: a
// poster that saw the flag set announced nothing.
func (m *Combining) nextAgain(q *queue, flag uint32) *Node {
	m.word.And(^flag)
	n := q.pop()
	if n != nil {
		m.word.Or(flag)
	}
	return n
}

func (m *Combining) serveUser(n *Node, lane Lane) {
	if n == nil {
		return
	}
	m.fetched()
	passes, reason := m.mayServe(n.value, n.plain, n.passes, lane)
	n.passes = 0
	if reason != nil {
		m.turns++
		m.refuseNode(n, reason)
		return
	}
	failures := m.tally.failures
	m.begin()
	if n.plain {
		m.receive(n.recycle())
	} else {
		m.turn(n)
	}
	m.end()
	if passes && failures == m.tally.failures {
		m.passed()
	}
}

// fetched counts a message that was taken out of a queue.
func (m *Combining) fetched() {
	depth := m.depth.Add(-1) + 1
	m.tally.maxDepth = max(m.tally.maxDepth, depth)
	m.tally.fetched()
}

// mayServe says why a message, about to be served, must not be, or whether it is a gate
// that lets it through.
func (m *Combining) mayServe(msg any, plain bool, by uint32, lane Lane) (passes bool, reason error) {
	if w := m.word.Load(); w&barred != 0 {
		return m.atGate(msg, plain, by, lane, w)
	}
	return false, nil
}

func (m *Combining) serveSystem(msg any) {
	switch msg := msg.(type) {
	case *actor.SuspendMailbox:
		m.word.Or(suspended)
		return
	case *actor.ResumeMailbox:
		m.word.And(^suspended)
		return
	case Gate:
		m.setGate(msg)
		return
	case purge:
		m.purge()
		return
	case statsRequest:
		msg.reply <- m.stats()
		return
	case *actor.Stop:
		m.stopping = true
	case *actor.Restart:
		if m.stopping { // the context would forget that it is stopping
			return
		}
	case *actor.Terminated:
		if m.word.Load()&stopped != 0 { // after a panic on Stopped, the context would stop once more
			return
		}
	case *actor.Watch:
		m.host.watchers.Add(msg.Watcher)
	case *actor.Unwatch:
		m.host.watchers.Remove(msg.Watcher)
	}
	m.receiveSystem(msg)
	// The context tells nobody that the actor stopped.
	if m.host.gone() {
		m.over()
	}
}

// over refuses everything from now on.
func (m *Combining) over() {
	m.word.Or(stopped)
	if m.user != nil {
		m.user.close(ErrStopped)
	}
}

// posted names a Node's message in a Failure. The message itself may be in use again,
// once its requester was answered.
type posted string

func (m *Combining) turn(n *Node) {
	done := false
	defer func() {
		if !done {
			reason := recover()
			m.cfg.Handler.Refuse(n, ErrPanicked)
			m.crashed(reason, posted(fmt.Sprintf("%T", n.value)))
		}
	}()
	m.cfg.Handler.Turn(n)
	done = true
}

func (m *Combining) receive(msg any) {
	done := false
	defer func() {
		if !done {
			reason := recover()
			m.refuse(msg, ErrPanicked)
			m.crashed(reason, msg)
		}
	}()
	m.invoker.InvokeUserMessage(msg)
	done = true
}

func (m *Combining) receiveSystem(msg any) {
	done := false
	defer func() {
		if !done {
			m.crashed(recover(), msg)
		}
	}()
	m.invoker.InvokeSystemMessage(msg)
	done = true
}

// crashed escalates a failure in the middle of serve. When the goroutine is exiting,
// serve will not get to release the turn.
func (m *Combining) crashed(reason, msg any) {
	if m.escalate(reason, msg); reason == nil {
		m.handOver()
	}
}

var errGoexit = fmt.Errorf("%w: runtime.Goexit", ErrPanicked)

// escalate hands the failure to the supervisor. A strategy that runs right here, as
// guardians' do, and panics would end the process: it stops the actor instead.
func (m *Combining) escalate(reason, msg any) {
	m.end()
	m.tally.failures++
	if reason == nil {
		reason = errGoexit
	}
	done := false
	defer func() {
		if done {
			return
		}
		cause := recover()
		m.host.log("supervision of a failed actor failed: the actor is stopped",
			slog.Any("reason", reason), slog.Any("panic", cause))
		m.PostSystemMessage(&actor.Stop{})
		if cause == nil { // this goroutine is exiting
			m.handOver()
		}
	}()
	if m.stopping && m.host.context != nil {
		m.finishStop(reason)
	} else {
		m.invoker.EscalateFailure(reason, Failed{msg})
	}
	done = true
}
