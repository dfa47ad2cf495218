// Package hedge makes another attempt beside one that takes long, and returns whichever
// answer comes first: of a call that is slow one time in a hundred, both are slow one time in
// ten thousand.
//
// It is for calls that may be made twice, and slow because of where they landed: a replica
// that collects garbage, a lost packet. What is slow because it is overloaded gets slower by
// it, so share a budget: Config.Budget.
//
// Read race.go first: it is one call, on its caller's goroutine. attempt.go is an attempt,
// which has a goroutine of its own, the first one too: who waits must be able to go once
// another has answered. Machine, in machine.go, is all that the actor knows, with no
// goroutine, clock or actor in it; follow.go is how the delay follows the calls.
//
// # After an attempt
//
//	the Judge says success, or ignores the error   it is the call's answer
//	it panicked, or ended its goroutine            so does the caller
//	a guard inside refused it                      the call waits for those that run
//	the Judge says failure or dropped              the call waits for those that run; with
//	                                               ReplaceFailed the next is made at once
//
// When none runs, and none is to be made, the call has failed: with the error of the attempt
// that did; with an *Error if several did; with the refusal if all were refused. No attempt
// is made later than that: a call that fails before the delay costs one, as without a hedge.
//
// # Those that lost
//
// The contexts of all attempts end with the call, with the cause patterns.ErrOutrun. Whatever
// they return then, their guards count it as Ignored, unless it is a success, and their
// permits are given back. The caller does not wait for that. A function that does not listen
// to its context goes on by itself; where Config.MaxLosers of them do, no more are made, and
// callers wait for what they have.
//
// # What a call costs
//
// A call that is answered before the delay costs a goroutine, a timer that is used again,
// three allocations, and no message. With Quantile one in 32 tells the actor how long they
// took, and one a second. A call that made another attempt tells it so when it ends.
//
// # What a restart keeps
//
//	                               sound   repaired
//	Config                         kept    kept
//	numbers of calls and attempts  kept    kept: callers count them
//	the delay, and how long        kept    forgotten: Config.Delay holds until
//	calls took                             enough were seen
//	announcements due              kept    kept
//
// Calls go on while the actor is away, by the delay that it gave last. After Stop they are
// refused with actors.ErrStopped; if the actor has failed for good, Config.OnFailure says.
package hedge
