//go:build race

package grpcguard_test

// raceEnabled is whether the race detector runs, which allocates.
const raceEnabled = true
