package rules

import "github.com/bulwark-go/bulwark/patterns"

// Do is what the host has to do.
type Do uint8

const (
	// DoChanged: Child went From one state To another, for Cause; To lasts Until.
	DoChanged Do = iota
	// DoRestart: tell Child to restart, which resumes it.
	DoRestart
	// DoSpawn: spawn Child anew, under its name; if that fails, it Failed.
	DoSpawn
	// DoResume: resume Child as it is.
	DoResume
	// DoStop: tell Child to stop.
	DoStop
	// DoSuspend: suspend Child, which runs.
	DoSuspend
	// DoShut: Child's mailbox refuses, Until.
	DoShut
	// DoProbe: Child's mailbox lets Pass messages through, and says when they are served. It
	// takes the place of the one before.
	DoProbe
	// DoOpen: Child's mailbox opens.
	DoOpen
	// DoGiveUp: hand the failure of Child up, for Cause.
	DoGiveUp
	// DoSettle: call Settled(Barrier) after all that is under way.
	DoSettle
	// DoGroup: the children's circuit went From one state To another: Running is closed.
	DoGroup
)

// String returns its name.
func (d Do) String() string {
	names := [...]string{
		"changed", "restart", "spawn", "resume", "stop", "suspend", "shut", "probe", "open", "give-up", "settle", "group",
	}
	if int(d) < len(names) {
		return names[d]
	}
	return "unknown"
}

// Effect is one thing to do. Effects are carried out in order.
type Effect struct {
	Do       Do
	Child    ID
	From, To State
	Cause    Cause
	Until    patterns.Instant // Never if unknown
	Pass     int
	Probe    uint64 // number of the DoProbe, to be said to Passed
	Barrier  uint64
}

// Effects returns what there is to do, and forgets it. The slice is valid until the
// call after the next.
func (m *Machine) Effects() []Effect {
	done := m.out
	m.out, m.spare = m.spare[:0], done
	return done
}

func (m *Machine) effect(e Effect) { m.out = append(m.out, e) }
