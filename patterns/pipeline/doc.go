// Package pipeline makes one guard of several: the outermost is asked first.
//
//	bank, err := pipeline.New("bank", again, payments, rooms)
//	receipt, err := patterns.Do(ctx, bank, charge)
//
// A pipeline is compiled once, and is a patterns.Guard like its parts, so it may be part
// of another.
//
// # All or nothing
//
// A call is made if all guards admit it. If one refuses, those outside of it that had
// admitted the call get their permits back unused, tokens and all, and learn nothing; the
// caller gets the refusal unchanged. What counts is whether the function was called at
// all within a guard: around a retry, one attempt that was made is one call.
//
// # Which order
//
// Policies, which decide around a call (retry, timeout, fallback, hedge), and guards, which
// decide before it, may stand in any order, and the order is the meaning:
//
//	outside              inside               means
//	timeout              retry                all attempts together may take so long
//	retry                timeout              each attempt may
//	retry                breaker              the breaker sees every attempt, and ends the retrying
//	breaker              retry                the breaker sees only what retrying could not help
//	rate limiter         retry                one permit per call; a retry inside costs none
//	fallback             anything             has the last word, whoever failed or refused
//
// Lint says which orders defeat themselves.
//
// # By permit
//
// Acquire takes a permit of every guard, or of none, and the permit that it returns ends
// them all. A pipeline with a policy, or with a guard that judges or times calls, cannot be
// used so, and returns patterns.ErrPolicy.
package pipeline
