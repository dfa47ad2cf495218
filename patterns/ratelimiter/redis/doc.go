// Package redislimiter is a rate limit that all instances of a service share: it is kept in
// Redis, exact to the request, and asked for with one call for all who ask at once.
//
// Read machine.go first: Machine decides, with no goroutine, clock or client in it; batch.go
// is what it sends and gets back, outage.go what it does without Redis, lease.go how it takes
// permits in advance, and reserve.go how it books those that come later. What carries its batches is the shell in package actors (see
// actors.Referrer), and what asks Redis is internal/store. Limiter is what callers hold. Rates,
// questions, answers and refusals are those of package ratelimiter.
//
// # What happens to a request
//
//	         nothing on the way
//	request ───────────────────▶ goes to Redis at once ──▶ passes, or *ratelimiter.LimitError
//	   │                              ▲         │
//	   ├─ a call is on the way ──▶ queues       └─ no answer in time, or a fault:
//	   ├─ a lease has permits ───▶ passes           FailOpen passes, FailClosed *OutageError,
//	   └─ Redis is given up ─────▶ OnOutage         Local by this instance's share
//
// Requests for a key are decided in the order in which they came to this instance.
//
// # What a restart keeps
//
// A restart keeps the Machine, the queue and what is on the way:
//
//	requests in the queue            kept, and sent with the next call
//	requests on the way              kept, each is answered once
//	what was used                    kept: it is in Redis
//	leases, permits to give back     kept; given up if Check finds them broken
//	what was reserved                kept: it is in Redis; to cancel it, as for leases
//	rates of single keys, Config     kept
//	forced state, its end            kept
//	whether Redis is given up        kept
//	the request that failed          refused; what Redis had granted it is used up
//
// If the actor fails for good, Config.OnFailure decides.
package redislimiter
