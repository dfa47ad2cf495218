package refusal

import (
	"time"

	"github.com/bulwark-go/bulwark/patterns"
)

// Guess is when to come again if nobody knows: the least that Retry-After can say.
const Guess = time.Second

// Wait is when to come again, for protocols that say it to the nanosecond: at least 1 ms, at
// most a day. known is false if err does not say, and it is a Guess.
func Wait(err error) (d time.Duration, known bool) {
	d, known = patterns.RetryAfter(err)
	if !known {
		return Guess, false
	}
	return min(max(d, time.Millisecond), maxSeconds*time.Second), true
}

// Detail is a sentence about a kind, for clients.
func (k Kind) Detail() string { return detail(k) }
