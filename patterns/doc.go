// Package patterns holds the words that every resilience pattern shares: a
// [Guard] hands out a [Permit] to make one attempt, the caller reports the
// [Outcome], and [Do] does both around a function. A refusal matches
// [ErrRejected], whoever refused.
//
// The package imports only the standard library. The patterns themselves live in
// the packages below it; what runs them as actors lives in package actors.
package patterns
