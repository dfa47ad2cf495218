// Package retry makes calls that failed again, after a wait, as long as there is a point in
// it: a bounded number of attempts, with backoff and jitter, within the caller's deadline and
// within a budget that keeps the retries of all callers from turning a slow backend into a
// dead one.
//
// Read loop.go first: it is what happens around a call, on the caller's goroutine. Machine,
// in machine.go, is what the actor owns: the Config that all callers go by and the statistics.
// A budget is an actor of its own, which any number of retries and hedges share:
// budgetmachine.go. Both are pure; the actor around them is in package actors, and the
// handles are in retry.go and budget.go. How waits grow is in patterns/internal/delay.
//
// # After an attempt
//
//	the Judge says success                        the call is over
//	the Judge ignores it                          the error is passed on unchanged
//	refused by a guard inside, never made         passed on unchanged, or after earlier attempts
//	                                              CauseRefused; with RetryRejected as a failure
//	the caller has cancelled                      passed on unchanged
//	the error matches patterns.ErrFinal           passed on unchanged
//	the Judge says failure or dropped             once more, unless
//	    it was made so often                      CauseAttempts
//	    the caller's context has ended            CauseCancelled, CauseDeadline
//	    the wait does not fit                     CauseElapsed, CauseDeadline
//	    too many are retried                      CauseBudget
//	    the retry was stopped meanwhile           CauseStopped
//
// Whatever has a Cause is an *ExhaustedError around the last error, but for the failure of a
// call that may be made only once, which is passed on unchanged.
//
// # What a call costs
//
// A call that succeeds at once counts that, and sends no message. One that is retried tells
// the actor of each attempt that failed, and waits for no answer; only a budget is asked.
//
// # What a restart keeps
//
//	                          sound   repaired
//	Config                    kept    kept
//	numbers of calls          kept    kept: callers count them
//	last error                kept    kept
//	what a budget remembers   kept    forgotten: there is what MinPerSecond allows
//	announcements due         kept    forgotten
//
// Calls go on while the actor restarts, but for one that asks a budget whose actor does: it
// waits for that.
package retry
