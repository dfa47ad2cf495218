// Package loadshedder refuses work that a process cannot do in time, so that what it does
// is still worth its answer: by how much runs and waits, by how long it waits, and by the
// machine underneath. The least important goes first.
//
// Read machine.go first: Machine is the whole algorithm, with no goroutine, clock or
// actor in it. Then one file for each thing that it looks at: queue.go at those who wait,
// control.go at what is measured, cutoff.go at who comes, users.go at their keys, level.go
// at how full it is, strain.go at when a calm ends and begins. shedder.go is the handle
// that callers hold, and sampling.go the actor that measures; package sampler reads the
// machine.
//
// # Who is shed
//
//	          signals, throttle               room            its turn
//	request ──▶ cut off? ──no──▶ place free? ──yes─▶ run ◀─────────── wait
//	              │ yes            │ no                                ▲ │
//	              ▼                ▼                                   │ │
//	             shed ◀───no── may it wait? ─────────────yes───────────┘ │
//	              ▲                                                      │
//	              └──────────────── waited too long, or in vain ─────────┘
//
// The cut-off is a share of all requests, which is taken from the lowest priorities, by
// who came of late. Critical requests are never cut off. The share is what an integrating
// controller finds, which comes to rest where the worst signal is at its threshold; or
// what the SRE throttle says, if that is more.
//
// While nobody lacks a place and nothing is cut off, the Machine only counts, and looks at
// no clock.
//
// # What a restart keeps
//
// The actor's restart keeps the Machine and everybody who waits:
//
//	                             sound   repaired
//	places of permits out        kept    kept; what does not add up counts as taken
//	Config, limit                kept    kept
//	forced state, its end        kept    kept
//	share that is admitted       kept    kept; if it is none, the least there is
//	measurements                 kept    kept
//	requests shed, by cause      kept    kept
//	who comes, reserves, keys    kept    lost: learned anew
//	CoDel, PIE, throttle         kept    lost: they begin calm
//	waits, peak                  kept    lost
//	epoch                        kept    bumped
//
// The sampling actor keeps nothing: it measures anew.
package loadshedder
