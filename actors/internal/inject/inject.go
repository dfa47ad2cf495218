// Package inject is how the test kit makes a guard's actor fail. It is internal, so
// that no user can.
package inject

// Tick stands, as Crash.At, for the guard's own timer.
type Tick struct{}

// Crash is a message to a guard: panic at the next message of the same type as At.
// The reply is actors.Ack, once the guard has understood.
type Crash struct {
	At any
	// After makes it panic when the rules have decided, before anybody is answered.
	After bool
	// Times is how often. 0 means once.
	Times int
}
