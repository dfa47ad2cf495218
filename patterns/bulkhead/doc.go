// Package bulkhead bounds how many calls run at once, so that one slow dependency, or
// one greedy tenant, cannot take every goroutine and connection there is. Callers that
// find no slot are refused at once, or wait in a bounded queue for a bounded time.
//
// Read machine.go first: Machine is the whole algorithm, with no goroutine, clock or
// actor in it. slots.go is how slots are taken and given back, queue.go who may wait,
// operate.go what an operator can do. The actor around a Machine is in package actors,
// which also keeps the queue; the handle that callers hold is in bulkhead.go.
//
// # Slots
//
//	             slot free                            half of the slots free
//	┌─────────┐ ◀──────────▶ granted   ┌───────────┐ ─────────────────────▶ Relieved
//	│ Relieved│                        │ Saturated │
//	└─────────┘ ─────────────────────▶ └───────────┘ ◀──▶ waits its turn, or refused
//	             no slot for somebody
//
// A request takes its weight in slots, at once or not at all. Those who wait are served
// in order, the highest priority first and the oldest first in each; a heavy one at the
// head is not overtaken by lighter ones of its priority. A request heavier than the
// limit could never be served and is refused at once.
//
// With Config.MaxPartitions, each key has MaxConcurrent slots and a queue of its own. A
// partition exists only while it has permits out, so a million keys cost nothing
// afterwards.
//
// In patterns.Leased mode slots are lent to cells up front, at most an eighth of those
// that are free at a time, so that the limit is never exceeded; as soon as somebody
// finds no slot all leases end, and none are given until the bulkhead is relieved.
//
// # What a restart keeps
//
// The actor's restart keeps the Machine and everybody who waits:
//
//	                        sound   repaired
//	slots of permits out    kept    kept; what does not add up counts as taken
//	Config, limit           kept    kept
//	peak, wait times        kept    kept
//	epoch                   kept    bumped
package bulkhead
