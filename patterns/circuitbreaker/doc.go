// Package circuitbreaker stops calling a dependency that keeps failing, tries it
// again after a while with a few probes, and goes on if they succeed.
//
// Read machine.go first: Machine is the whole algorithm, with no goroutine, clock or
// actor in it. closed.go, open.go and halfopen.go are its three states, operate.go
// what an operator can do. The actor around a Machine is in package actors, and the
// handle that callers hold in breaker.go.
//
// # States and causes
//
//	           consecutive-failures
//	           failure-ratio
//	           slow-ratio                       open-elapsed
//	┌────────┐ ─────────────────▶ ┌──────┐ ─────────────────▶ ┌──────────┐
//	│ Closed │                    │ Open │                    │ HalfOpen │
//	└────────┘                    └──────┘ ◀───────────────── └──────────┘
//	  ▲    ▲                         probe-failed, probe-slow,    │
//	  │    │                         probe-lost                   │
//	  │    └──────────────────────────────────────────────────────┘
//	  │                        probes-passed
//	  │ forced-elapsed, reset                 forced
//	┌─┴───────────────────────────────────────┐ ◀──── any state
//	│ ForcedOpen · ForcedClosed · MetricsOnly │
//	└─────────────────────────────────────────┘
//
// A reset leads from any state to Closed. Every transition begins an epoch. Permits
// carry theirs, and a report from an older epoch does not count: how a call ended
// that began before the circuit opened says nothing about now.
//
// Open ends with the first call after its time, not by a timer: until somebody
// calls, the breaker rests in Open and Snapshot.Eligible is true. A half-open probe
// that stays silent for Config.ProbeTimeout counts as failed when the timer looks,
// and the new open time begins then.
//
// # What a restart keeps
//
// The actor's restart keeps the Machine. If Machine.Check finds it sound, that is
// all, and permits in flight still count. If not, Machine.Repair rebuilds it:
//
//	                        sound   repaired
//	state                   kept    kept, but HalfOpen becomes Open and due
//	open time, forced time  kept    kept
//	openings in a row       kept    kept
//	Config, last failure    kept    kept
//	window, runs            kept    lost: they start empty
//	half-open probes        kept    lost: their reports are stale
//	ramp                    kept    begins again
//	epoch                   kept    bumped, with cause repaired
package circuitbreaker
