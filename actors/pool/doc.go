// Package pool has several actors do the work of one. A router passes requests on to the
// member that has the fewest of them out, of those whose circuit breaker lets it, and
// passes the replies back:
//
//	requester ──any message──▶ router ──▶ member        (its breaker granted a permit)
//	requester ◀──the reply──── router ◀── member        (judged, and reported to the breaker)
//	requester ◀──*middleware.RejectedError── router     (no member may be asked: *NoMemberError)
//	requester ◀──*middleware.RequestError─── router     (no reply in time, or the member is gone)
//	anyone ──Inspect──▶ router ──Snapshot──▶ anyone
//	anyone ──Broadcast──▶ router ──▶ every member
//
// Every request is answered exactly once: a second or a late reply is dropped. Members see
// the router as the sender; one that wants to reply later, or to forward, may.
//
// # Members
//
// [Spawn] makes them, supervises them, and replaces those that have stopped. [Group] takes
// actors that are there, and forgets those that stop. Each has a breaker, an ordinary
// guard of the registry, which can be looked at and steered as any other. A member that
// has just been replaced has the breaker of the one before.
//
// # What counts against a member
//
// An error that it replies, a panic (if its mailbox answers for it, as those of package
// mailbox do), no reply in time, its not being there, and its stopping. That its mailbox is
// full does not: the request was never handled, and is tried on one other member. Of
// messages without a sender nothing is learned.
//
// # What a restart keeps
//
// Should the router itself fail, it keeps its breakers and its counts; requests that were
// out are answered with a mailbox.Undelivered, and members that it spawned are started anew.
package pool
