// Package mailbox implements proto.actor mailboxes: [New] for user actors, and
// [Combining] for pattern actors.
//
// A mailbox of New is bounded, and what it cannot take it refuses with a reply. Options
// say by what it is bounded, who has to go when it is full, what comes first, how long a
// message is of use, and who hears of it. docs/mailbox.md explains them all. Both kinds
// are one machine, described next; they differ in where ordinary messages are queued.
//
// Combining is the one that pattern actors use: whoever posts a message to an idle actor runs the actor's
// turn itself, on the spot, so that asking an actor costs about what a lock costs.
//
// # The turn
//
// One atomic word says who runs. A poster that moves it from 0 to running owns the
// turn: nobody else touches the actor until the word is 0 again. A poster that
// finds a turn running tries again for about a microsecond, and then links its
// message into a queue; the owner serves the queue before it leaves. An owner that
// has served Budget messages of others hands the rest to a fresh goroutine, so that
// no caller works for others without bound.
//
// System messages come before control messages and frees, which come before
// everything else. Within one of these classes, messages of one sender keep their
// order. Suspension, restart, supervision and messages posted before Start work as
// proto.actor defines them. In addition, every requester is answered: when the actor
// panics on its message, when the mailbox is full, and when the actor has stopped.
//
// # Rules for what runs in a turn
//
// With Inline, a turn runs on the goroutine of whoever posts, which may be inside
// another actor or hold a lock: the actor must do a bounded amount of work, call
// nothing it does not know, never wait, and never ask itself. That holds for pattern
// actors. User actors get a turn on a goroutine of their own unless they opt in.
package mailbox
