package loadshedder

import (
	"fmt"
	"time"

	"github.com/bulwark-go/bulwark/patterns"
	"github.com/bulwark-go/bulwark/patterns/internal/aqm"
)

// Law is how a queue is kept short, apart from its length: see CoDel, PIE and AnyDelay.
// The zero Law is the default of Config.QueueDelay. Laws are comparable.
type Law struct {
	kind             lawKind
	target, interval time.Duration
}

type lawKind uint8

const (
	lawDefault lawKind = iota
	lawCoDel
	lawPIE
	lawNone
)

// CoDel is the law of RFC 8289: once everybody of a priority has waited for longer than
// target for a whole interval, one of them is shed when its turn comes, and more at a
// growing rate until waiting is short again. It lets bursts pass. The last one who waits
// is never shed.
func CoDel(target, interval time.Duration) Law {
	return Law{kind: lawCoDel, target: target, interval: interval}
}

// PIE is the law of RFC 8033: of the newcomers of a priority that would have to wait it
// sheds the share with which waiting comes to rest at target. They are told at once.
func PIE(target time.Duration) Law { return Law{kind: lawPIE, target: target} }

// AnyDelay lets callers wait for as long as Config.MaxWait says.
func AnyDelay() Law { return Law{kind: lawNone} }

func (l Law) String() string {
	switch l.kind {
	case lawCoDel:
		return fmt.Sprintf("CoDel(%v,%v)", l.target, l.interval)
	case lawPIE:
		return fmt.Sprintf("PIE(%v)", l.target)
	case lawNone:
		return "AnyDelay()"
	}
	return "default"
}

func (l Law) problem() string {
	switch {
	case l.kind == lawCoDel && (l.target <= 0 || l.interval <= 0):
		return "target and interval must be above 0"
	case l.kind == lawCoDel && (l.target > l.interval || l.interval > time.Hour):
		return "target must not be above the interval, nor that above 1h"
	case l.kind == lawPIE && (l.target <= 0 || l.target > time.Hour):
		return "target must be above 0, and 1h at most"
	}
	return ""
}

// piePeriod is how often PIE moves its share; it lets bursts of pieBurst targets pass.
const (
	piePeriod = 15 * time.Millisecond
	pieBurst  = 10
)

// laws are one of each priority: those who wait in one know nothing of the delay in
// another.
type laws struct {
	codel  [levels]aqm.CoDel
	pie    [levels]aqm.PIE
	served [levels]patterns.Instant // when somebody's turn last came
}

func newLaws(l Law) laws {
	var s laws
	for i := range levels {
		s.codel[i] = aqm.CoDel{Target: l.target, Interval: l.interval}
		s.pie[i] = aqm.PIE{Target: l.target, Period: piePeriod, Burst: pieBurst * l.target}
		s.served[i] = -1 << 63
	}
	return s
}
