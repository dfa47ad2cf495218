// Package exchange is how one actor asks another under any patterns.Guard, retries,
// timeouts, hedges and fallbacks included, while both go on serving other messages.
//
// # The asker
//
// [Exchanger.Ask] returns at once. A goroutine, of which there are so many at most, runs
// patterns.DoFor with the guard around the request, so that everything about a policy is
// as it is for functions. One attempt is one message to the callee. What comes of it in
// the end reaches the asker as one message, [Answered], or in a function given with
// [Then].
//
// # The callee
//
// Each attempt carries, in the header of its envelope, the ID of the exchange, which is
// the same for all attempts, the number of the attempt, and when its asker loses interest:
// [Of] and [Context] read them, [DropExpired] refuses what comes too late, and [Once] keeps
// work from being done twice. What a callee asks of others in turn ends when the request
// does that it is a part of.
//
// # What ends an exchange
//
// A reply, an error that the guard does not retry, its time, [Exchanger.Cancel], and the
// asker's own end. Its context then ends, and permits come back.
//
//	asker stops     by itself: the Exchanger watches it
//	asker restarts  with the receiver middleware [Exchanger.EndOnRestart]; otherwise the new
//	                instance gets the Answered, whose ID it does not know, and no function
//	                given with Then runs
//	callee stops    the attempt fails at once with ErrTerminated
//	callee panics   the attempt fails at once if its mailbox is one of package mailbox, or
//	                if it has a Once; otherwise when its time is up
//	no such callee  the attempt fails at once with ErrDeadLetter
//
// # Clocks
//
// A deadline is absolute. For a callee of another node, whose clock may differ, it is put
// off by [MaxSkew], and is never later than the time that was left when the attempt was
// sent, counted from when the callee looks: a request may be served too late there, but
// none is refused too early as long as clocks differ by less than MaxSkew.
package exchange
