// Package backpressure makes producers wait when too much work is pending, and lets them
// go on only when enough of it is done: between a high and a low water mark, with
// hysteresis, so that the flow does not flutter around one number.
//
// Read machine.go first: Machine is the whole algorithm, with no goroutine, clock or
// actor in it. queue.go is who may wait, operate.go what an operator can do. The actor
// around a Machine is in package actors, which also keeps the queue, and the standing
// orders of actors that produce; the handle that other producers hold is in valve.go. Map
// and MapChan, in stage.go, run one stage of a stream under a guard.
//
// # States
//
//	┌──────┐  pending rises to HighWater  ┌─────┐
//	│ calm │ ───────────────────────────▶ │ hot │
//	└──────┘ ◀─────────────────────────── └─────┘
//	           pending falls to LowWater
//
// While calm, a request is granted at once. While hot, newcomers wait behind those who
// wait already. When it cools, they are served in order, the oldest first, one slot each,
// until it is hot again or nobody waits: at most HighWater − LowWater of them, so that no
// herd is let in and MaxPending is never exceeded. Both transitions are a Pressure event.
//
// In patterns.Leased mode permits are lent to cells up front, at most an eighth of the
// room below the high water mark at a time, and count as pending; when it gets hot, or
// somebody waits for more room than there is, all leases end, and none are given until it
// is calm and nobody does.
//
// # What a restart keeps
//
// The actor's restart keeps the Machine and everybody who waits:
//
//	                       sound   repaired
//	pending                kept    kept; what does not add up counts as pending
//	hot                    kept    kept, or what pending says outside of the marks
//	Config, peak, waits    kept    kept
//	epoch                  kept    bumped
package backpressure
