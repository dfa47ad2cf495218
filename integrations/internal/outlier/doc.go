// Package outlier says which of several hosts a request goes to, and keeps those out for a
// while that fail more than the others. Machine is pure: no goroutine, lock, clock or
// randomness.
//
//	           failures in a row, or fewer successes than the rest
//	┌────────┐ ──────────────────────────────────────────────────▶ ┌─────────┐
//	│ in use │                                                     │ ejected │
//	└────────┘ ◀────────────────────────────────────────────────── └─────────┘
//	           its time is up: EjectFor, longer each time
//
// Never more than MaxEjected of them are ejected, and never the last one.
package outlier
