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
)

// Check is one question.
type Check struct {
	Key    string // of the user, any bytes
	Law    *Law   // made by the Store's Law
	Kind   Kind
	Weight int64 // not negative; 0 passes always and changes nothing
	Since  int64 // of Return: the Since of the Answer to what is given back
}

// Answer is what became of a [Check]. If Err is not nil, nothing else is set.
type Answer struct {
	Taken     int64 // with Return, 0
	Limit     int64 // the most that can be taken at once, of Tier
	Remaining int64 // of Tier, rounded down
	// RetryAfter is 0 if Take took, or Peek says that it would; -1 if it never can; and
	// otherwise how long from At it cannot. With TakeUpTo it is when there is one, if there
	// was none.
	RetryAfter time.Duration
	ResetAfter time.Duration // until Tier is whole again, rounded up
	Tier       int           // the one that refuses longest, or else has least left; the first of these
	At         int64         // the server's clock, µs since 1970
	Since      int64         // for Return: the time as of which this was taken, on that clock
	Err        error         // a *KeyError, a *Fault or an *ArgumentError
}
