package timeout

import (
	"time"

	"github.com/bulwark-go/bulwark/patterns"
)

// What callers tell the actor: nothing of most calls that are in time, and one of these
// otherwise.
//
//	caller                     actor
//	   │── late ──────────────▶  the limit was exceeded; nobody waits for an answer
//	   │── *samples ──────────▶  so long took calls that succeeded, if the limit follows them
//	   │── leave ─────────────▶
//	   │◀─────────── room? ────  whether a function may be left behind
//	function, left behind
//	   │── left ──────────────▶  it has ended
type (
	// late is a call that took longer than the limit.
	late struct{ limit time.Duration }

	// samples are calls that succeeded: a message for each would cost more than the timeout.
	// Whoever sends them does not touch them again.
	samples struct {
		n     int
		since time.Time // when the first came
		took  [batch]time.Duration
	}

	// leave asks to leave a function behind. The answer is whether there is room.
	leave struct{ who *stray }

	// left says that a function that was left behind, or was about to be, has ended.
	left struct {
		who   *stray
		panic string // what it panicked with, if it did
		never bool   // its caller did not leave after all
	}
)

const (
	// batch is how many samples there are in a message at most, and patience how long those
	// that there are wait for more: until the next one after that.
	batch    = 32
	patience = time.Second
)

// stray is a function that is left behind. Its address is its identity.
type stray struct{ since patterns.Instant }
