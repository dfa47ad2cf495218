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
//	   │── *samples.Batch ────▶  so long took calls that succeeded, if the limit follows them
//	   │── leave ─────────────▶
//	   │◀─────────── room? ────  whether a function may be left behind
//	function, left behind
//	   │── left ──────────────▶  it has ended
type (
	// late is a call that took longer than the limit.
	late struct{ limit time.Duration }

	// leave asks to leave a function behind. The answer is whether there is room.
	leave struct{ who *stray }

	// left says that a function that was left behind, or was about to be, has ended.
	left struct {
		who   *stray
		panic string // what it panicked with, if it did
		never bool   // its caller did not leave after all
	}
)

// stray is a function that is left behind. Its address is its identity.
type stray struct{ since patterns.Instant }
