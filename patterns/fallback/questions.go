package fallback

import (
	"container/list"
	"time"

	"github.com/bulwark-go/bulwark/patterns"
)

// What callers tell the actor, and ask it.
//
//	caller                     actor
//	   │── *good ─────────────▶  the value of a call that succeeded, if they are kept
//	   │── ask ───────────────▶
//	   │◀──────────── found ───  the last good value, if there is one that is young enough
//	   │── fell ──────────────▶  somebody was given something else; nobody waits for an answer
//	   │── exhausted ─────────▶  or was not
type (
	// good is the last good value of a key. Whoever sends it does not touch it again.
	good struct {
		key   string
		value any
		at    patterns.Instant // set by the actor
		place *list.Element    // in the order of age
	}

	// ask asks for a last good value: the young one, or any.
	ask struct {
		key   string
		stale bool
	}

	// found is the answer; age is 0 or more.
	found struct {
		ok    bool
		value any
		age   time.Duration
	}

	// fell is what somebody was given, and why.
	fell struct {
		by  string
		err error
	}

	// exhausted is what somebody got instead.
	exhausted struct{ err *Error }
)
