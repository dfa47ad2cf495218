package hedge

import "time"

// What callers tell the actor: nothing of most calls that are answered before the delay, and
// one of these otherwise. Nobody waits for an answer.
//
//	caller                     actor
//	   │── *samples.Batch ────▶  so long took first attempts, if the delay follows them
//	   │── hedged ────────────▶  a call that made another attempt has ended
//	   │── crowded ───────────▶  one was not made, because too many losers run
//	loser
//	   │── crashed ───────────▶  it panicked, and nobody waits for it
type (
	hedged struct {
		extra  bool          // it did; if not, it only has been outrun
		won    bool          // by another than the first attempt
		outrun time.Duration // after which the first was given up; 0 if it was not
	}

	crowded struct{}

	crashed struct{ panic string }
)
