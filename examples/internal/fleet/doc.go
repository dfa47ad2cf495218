// Package fleet is several real processes that share one rate limit through a real Redis,
// which is stopped and started meanwhile. Every process writes down what it was allowed,
// and when; together that must never be more than the limit.
//
// A program that runs a fleet starts itself anew for each process, so its main begins with
//
//	if fleet.IsWorker() {
//		fleet.Work()
//		return
//	}
package fleet
