// Package timeout bounds how long a call may take: the function's context has a deadline,
// and an error that comes of it says whose limit it was, and how long it took.
//
// Read machine.go first: Machine is all that the actor knows, with no goroutine, clock or
// actor in it; follow.go is how the limit follows the calls. The call itself is made by the caller, in timeout.go, or on a goroutine that
// may be left behind, in apart.go.
//
// # Whose deadline
//
// The earliest of nested deadlines holds, and is whose it is: a limit inside, the caller's
// own deadline, and the caller's cancellation reach the caller as they are. A function that
// returns without an error, however late, was in time.
//
// Inside a retry each attempt has the limit; outside of one all attempts together have it.
//
// # Functions that do not listen
//
// A function that ignores its context keeps its caller waiting. With Config.Abandon the
// caller gets its error at once, and the function goes on by itself on a goroutine of its
// own, with the permits of the guards inside of the timeout. At most Config.MaxAbandoned
// are left behind at a time: at that many calls are refused with ErrAbandoned, and those
// that are under way stay with their function. What becomes of an abandoned function nobody
// hears; if it panics, the actor does, counts it, and says so.
//
// # What a restart keeps
//
// The actor's restart keeps the Machine: the limit and what it was made of, what is
// abandoned, and totals. While the
// actor is away calls go on by the limit that it gave last.
package timeout
