// Package retrybudget bounds the attempts that a backend gets on top of the first ones:
// retries and hedges. Without a bound, a backend that fails under load is sent several
// times that load. First attempts are never refused.
//
// One budget is for all who call the same backend, and for their retries and hedges
// together. There are two forms: Window grants a share of the first attempts of the last
// while, and Concurrent one of those that run now.
//
// These are the budgets of calls. How often a child is restarted has its own, in the
// package supervisor/budget.
package retrybudget

// Counts are what a budget saw since it was made: Requests and Extras + Suppressed were
// asked for.
type Counts struct {
	Requests   uint64 // first attempts
	Extras     uint64 // granted
	Suppressed uint64 // refused
}
