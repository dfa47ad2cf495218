package mailbox

import "time"

// sampleEvery turns one is timed, because reading the clock costs as much as a turn.
const sampleEvery = 128

// tally is counted by the owner of the turn, apart from what is counted on the spot.
type tally struct {
	queued    uint64
	handed    uint64
	handovers uint64
	onHanded  bool // the turn runs on a goroutine of the dispatcher's
	failures  uint64
	maxDepth  int64
	gates     uint32        // how many there were
	busy      time.Duration // estimated
	lastBusy  time.Duration // busy at the last Stats
	lastAt    int64
}

// fetched counts a message that was taken out of a queue.
func (t *tally) fetched() {
	t.queued++
	if t.onHanded {
		t.handed++
	}
}

// Stats says how a mailbox is doing.
type Stats struct {
	// Spot counts the turns that posters took on the spot.
	Spot uint64
	// Queued counts the messages served from a queue, Handed those of them that a
	// goroutine of the dispatcher's served, and Handovers how often one was started
	// because the budget was used up or a goroutine exited in a turn.
	Queued, Handed, Handovers uint64
	// Failures counts panics and goroutine exits.
	Failures uint64
	// Refused counts messages refused because the mailbox was full or gated.
	Refused uint64
	// Depth is how many messages are queued now, MaxDepth the most there ever were.
	Depth, MaxDepth int
	// OldestAge is how long the oldest queued message has waited.
	OldestAge time.Duration
	// Saturation is the share of time, 0 to 1, that was spent in turns since the
	// Stats before; an estimate from one turn in 128.
	Saturation float64

	// What follows is for the mailboxes of New.

	// Drops counts messages that were not served, by reason.
	Drops Drops
	// Cost is what the queued messages cost, if there is a Cost.
	Cost int64
	// Parked is how many senders wait for room.
	Parked int
	// Credits is how many messages producers may send that have not come yet.
	Credits int
	// Pressed: the high mark was reached, and the low one not yet since.
	Pressed bool
	// Overloaded: CoDel is dropping.
	Overloaded bool
	// Paused and Closed are what Pause and Close did.
	Paused, Closed bool
}

type statsRequest struct{ reply chan<- Stats }

// Stats returns the statistics as of a moment when no turn runs. It must not be
// called in a turn, nor before the actor was spawned.
func (m *Combining) Stats() Stats {
	reply := make(chan Stats, 1)
	m.PostSystemMessage(statsRequest{reply})
	return <-reply
}

func (m *Combining) stats() Stats {
	t, now := &m.tally, m.clock()
	s := Stats{
		Spot: m.turns - t.queued, Queued: t.queued, Handed: t.handed, Handovers: t.handovers, Failures: t.failures,
		Refused: m.refused.Load(), Depth: int(max(0, m.depth.Load())), MaxDepth: int(max(t.maxDepth, m.depth.Load())),
	}
	for _, q := range []*queue{&m.urgent, &m.ordinary} {
		if n := q.peek(); n != nil {
			s.OldestAge = max(s.OldestAge, time.Duration(now-n.since))
		}
	}
	if m.user != nil {
		m.user.stats(&s)
	}
	if now > t.lastAt {
		s.Saturation = min(1, float64(t.busy-t.lastBusy)/float64(now-t.lastAt))
	}
	t.lastBusy, t.lastAt = t.busy, now
	return s
}

func (m *Combining) clock() int64 { return int64(time.Since(m.born)) }

// begin and end bracket every turn.
func (m *Combining) begin() {
	m.turns++
	if m.turns%sampleEvery == 0 {
		m.started = m.clock()
	}
}

func (m *Combining) end() {
	if m.started != 0 {
		m.tally.busy += sampleEvery * time.Duration(m.clock()-m.started)
		m.started = 0
	}
}
