// Package backoff decides how long to wait before a failed child is restarted:
// longer after each failure in a row, up to a maximum, and from the start again once
// the child has run quietly. It is pure: no clock, no lock, no goroutine, no
// randomness; time and the random number are arguments of [Machine.Fail].
//
// Restart intensity (package intensity) bounds how often a child is restarted and
// then gives up; backoff never gives up, and spreads the restarts out so that what
// the child depends on has time to recover. Together they need numbers that fit: with
// the defaults here ten restarts take 81 s, so an intensity of 10 in 10 s would never
// be exceeded. Count over a period longer than the delays, or use one of the two.
//
// # When a child counts as recovered
//
// Quiet time is counted from the moment the restart was due, that is the failure
// plus its delay, and not from the failure: until then the child did not run. Counted
// from the failure, a delay longer than ResetAfter would reset itself, and a child
// that never works would alternate between the longest wait and the shortest.
//
// # Jitter
//
// Children that fail together should not come back together. Jitter only lengthens
// a delay, so the first one is never shorter than Base; and it is added after Max is
// applied, so that children which have all reached Max are still spread.
package backoff
