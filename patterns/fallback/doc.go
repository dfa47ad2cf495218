// Package fallback gives callers something in place of what failed: a fixed value, what a
// function makes of the error, or the last good value that there was.
//
// Read machine.go first: Machine is all that the actor knows, with no goroutine, clock or
// actor in it: the last good values, and what is told of. The steps are made by the caller,
// on its own goroutine, in fallback.go; steps.go is how they are put together.
//
// # When, and in what order
//
// A call that was judged a Failure, or Dropped, and one that a guard inside refused, is given
// the first of these that there is:
//
//	last good value     not older than Config.LastGood, of the Request's key
//	Config.Steps        in their order, each only for the errors that it is for
//	last good value     not older than Config.StaleFor
//
// Where none is for the error, the caller gets the error as it is; where those that are fail,
// an *Error, which has it and theirs. Nothing is given to callers who cancelled, and a panic
// of the function goes on.
//
// # What a restart keeps
//
// The actor's restart keeps the Machine: last good values and totals. While the actor is away
// Steps work as ever.
package fallback
