package store

import "time"

// Algorithm is how requests are counted.
type Algorithm uint8

const (
	// TokenBucket is the generic cell rate algorithm: Count tokens per Period come back,
	// and at most Burst lie there.
	TokenBucket Algorithm = iota
	// SlidingLog remembers each permit: at most Count in any window of Period.
	SlidingLog
)

// Tier is one rate of a [Law].
type Tier struct {
	Count  int64
	Period time.Duration // a whole number of µs
	Burst  int64         // of TokenBucket only; 0 means Count
}

// Kind is what a [Check] asks for.
type Kind uint8

const (
	// Take takes Weight, or nothing.
	Take Kind = iota
	// TakeUpTo takes as much as there is, at most Weight.
	TakeUpTo
	// Peek says what Take would, and changes nothing.
	Peek
	// Return gives Weight back that was taken at Since, less what has come again since
	// without it: however late it comes, no more passes than if it had never been taken.
	// With a Since of 0 all of Weight is given back, up to a full bucket. A SlidingLog
	// does not forget what passed, and takes nothing back.
	Return
	// Reserve takes Weight for the earliest time at which it is there, as if it were used
	// then, unless that is more than Within away, MaxBooked are booked already, or it is too
	// far to be counted. Whoever comes later is told a later time. A SlidingLog books nothing.
	Reserve
	// Cancel gives back what Reserve took, as Booking says: before its time it is as if it
	// had never been, and then it is as with Return. Times that others were told stay.
	Cancel
)

// MaxBooked is how many bookings whose time is to come a key has at most.
const MaxBooked = 256

// Booking is what Cancel needs to know of a Reserve.
type Booking struct {
	At     int64 // its time, on the server's clock; may have come at once
	Number int64 // 0 if it had
	Since  int64 // the Since of the Answer
}

func (b *Booking) valid() bool {
	return min(b.At, b.Number, b.Since) >= 0 && max(b.At, b.Number, b.Since) < whole
}

// Check is one question.
type Check struct {
	Key    string // of the user, any bytes
	Law    *Law   // made by the Store's Law
	Kind   Kind
	Weight int64 // not negative; 0 passes always and changes nothing
	Since  int64 // of Return: the Since of the Answer to what is given back
	Within int64 // of Reserve, in µs

	Booking *Booking // of Cancel
}

// Answer is what became of a [Check]. If Err is not nil, nothing else is set.
type Answer struct {
	Taken     int64 // with Return, 0; with Cancel, Weight unless there was nothing left to give back
	Limit     int64 // the most that can be taken at once, of Tier
	Remaining int64 // of Tier, rounded down
	// RetryAfter is 0 if Take took, or Peek says that it would; -1 if it never can; and
	// otherwise how long from At it cannot. With TakeUpTo it is when there is one, if there
	// was none. If Reserve took, it is how long from At until that may be used.
	RetryAfter time.Duration
	ResetAfter time.Duration // until Tier is whole again, rounded up
	Tier       int           // the one that refuses longest, or else has least left; the first of these
	At         int64         // the server's clock, µs since 1970
	Since      int64         // for Return: the time as of which this was taken, on that clock
	Number     int64         // of Reserve's Booking
	Err        error         // a *KeyError, a *Fault or an *ArgumentError
}
