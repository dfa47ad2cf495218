package outlier

import (
	"time"

	"github.com/bulwark-go/bulwark/patterns"
)

// plan is what callers choose by, and never changes.
type plan struct {
	places []place
	out    int       // how many of them are ejected
	origin time.Time // of Instants
}

// place is a member as callers see it.
type place struct {
	name string
	identity
	until patterns.Instant // which it is ejected; 0 if it is in use

	// What to tell of a call: made once, since a message is boxed.
	good, bad any
}

// identity says which member it is, of all that have had its slot.
type identity struct {
	slot int // of those that count what is under way
	mark *mark
}

// mark is one of its kind.
type mark struct{ _ byte }

// ended is what a caller tells of a call to a member. Nobody waits for an answer.
type ended struct {
	identity
	era uint64 // the member's, when it was chosen
	bad bool
}

// loads is how many calls are under way at each slot.
type loads interface{ Of(slot int) int }

// choose returns the member for a call: of those in use the one with the fewest calls under
// way, and from the turn-th on if there are several. It goes where the call has been only if
// there is nowhere else.
func (p *plan) choose(now patterns.Instant, turn int, under loads, been *trail) *place {
	var best *place
	least, n := 0, len(p.places)
	turn %= n
	for _, choosy := range []bool{been != nil, false} {
		for i := range p.places {
			at := &p.places[(turn+i)%n]
			if at.until > now || choosy && been.has(at.mark) {
				continue
			}
			if load := under.Of(at.slot); best == nil || load < least {
				best, least = at, load
			}
		}
		if best != nil {
			return best
		}
	}
	return &p.places[turn] // the rules eject no last one, so that there is none like this
}
