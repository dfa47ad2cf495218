// Package actors runs resilience patterns as proto.actor actors.
//
// Each guard is one actor. Its rules are a [Machine], which is pure; the shell
// around it, the same for every pattern, adds a mailbox, a clock, identities for
// permits, a queue of callers that wait, and a watch over the actors that hold
// permits. Nothing is guarded by a lock: the state belongs to whoever runs the
// actor's turn (see package mailbox).
//
// # Ways in
//
// Goroutines use a [Handle], which every pattern's own type embeds: Acquire and
// Report are messages whose turn usually runs on the spot, in tens of nanoseconds.
// Actors send [Acquire], [Report] and [Cancel] to the guard's PID and never block,
// or let [AcquireThen] do it. Both may be mixed.
//
// # Waiting
//
// The shell keeps the queue of those who wait, and asks the Machine, if it is a [Queuer],
// who may join it, until when, and in what order they are served. A caller leaves when
// its context ends; a grant that crosses that is undone.
//
// # Producers
//
// An actor that produces work sends [Produce] once and is then told by [Demand] how many
// pieces it may make; [Done] says that some of them have ended.
//
// # Questions and shards
//
// A pattern may answer questions of its own, sent as [Consult], if its Machine is a
// [Consultant]. A guard with very many keys may be [Sharded]: several actors under one name.
//
// # What a restart keeps
//
// A panic in a turn answers the request that it was handling with [ErrFailed],
// suspends the actor, and tells its supervisor, which restarts it:
//
//	kept     the Machine (state, window, limits, configuration), permits in flight,
//	         callers and producers that wait, queued messages, watches, totals, leases in
//	         cells
//	lost     the message that failed, and what it had been granted
//	rebuilt  what Machine.Check finds broken, conservatively (Machine.Repair)
//	bumped   the epoch, only if something was rebuilt
//
// While the actor is away, callers wait within their context. If it fails more often
// than the registry's intensity allows, it is given up: an event says so, and
// patterns.FailPolicy decides what callers get.
//
// # Leases
//
// A guard in patterns.Leased mode hands permits out in bulk. Choose it for guards
// that are called millions of times a second, when it does not matter that successes
// are counted late, as patterns.Leased says: permits are never granted beyond what the
// rules allow, and a state change is seen by every caller at its next call. For
// anything else, Strict is exact and fast enough.
package actors
