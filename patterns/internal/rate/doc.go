// Package rate holds the rules of rate limiting as pure arithmetic. A [Rule] is the
// law, shared by any number of keys; what one key has used is a few words that the
// caller keeps, so that a million keys are one array without pointers.
//
// All times are nanoseconds on a clock with an arbitrary origin. A Rule expects a now
// that never goes back: whoever keeps the words keeps the largest now as well. What
// decides is integer arithmetic, exact where it can be: a rate that is no whole number
// of nanoseconds per permit is kept as quotient and remainder. Waits round up, so that
// one who waits exactly that long passes; remaining counts round down.
package rate
