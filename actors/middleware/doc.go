// Package middleware puts guards around your own actors: around what an actor does with
// the messages that it gets ([Receiver]), around its requests to other actors
// ([Guarded]), and around what it just sends ([Sender]). Any patterns.Guard will do.
//
// # What is guarded
//
// Messages that begin work. Those that begin none, or end some, always pass: what
// proto.actor itself sends (Started, Stopping, Terminated, PoisonPill, ReceiveTimeout and
// so on), replies of the permit protocol, errors and mailbox.Undelivered, and messages
// whose Lane is mailbox.Urgent. Other replies to what an actor has asked for cannot be
// told from new work: leave them out with [Only], or ask through [Guarded].
//
// # What an actor's turn waits for
//
// For the answer of the guard's actor, which takes well under a microsecond, and for 10 ms
// at most, should that restart; then the message is refused with [ErrBusy]. Where there is
// waiting to do, in a guard's queue or for an open breaker, a goroutine does it: one for
// each actor with a stash that is not empty, and one for each request that waits.
//
// # What counts as what
//
// A Receive that returns is a Success, unless it responded with an error, which is judged
// as an error that a function returns. A panic is a Failure. Work that goes on after
// Receive has returned is not seen. A request is judged by its reply; that none came, or
// that the target is not there, or stops, is a Failure.
//
// # What a restart keeps
//
//	kept  the Receiver's totals
//	lost  the message that failed: its sender is answered by the mailbox, if it is one of
//	      package mailbox, or by the supervisor, if it is one of package supervisor
//	lost  stashed messages: their senders are answered with ErrRestarting
//	lost  requests that are out: their permits are released, their functions not called,
//	      and who asked for the work that they were part of is answered
//
// A stop is as a restart, with ErrStopping.
package middleware
