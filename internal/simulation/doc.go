// Package simulation runs a service behind a concurrency limiter in virtual time, so
// that limits can be compared on equal terms, with known capacity and without noise.
//
// The service has workers, a lognormal service time and one FIFO queue; a call that
// ends after its deadline was wasted work. Every run is seeded: the same Scenario and
// the same rules give the same Result. Erlang's formulas check it (erlang_test.go).
package simulation
