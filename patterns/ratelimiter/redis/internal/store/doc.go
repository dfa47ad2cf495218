// Package store keeps rate limits in Redis, 6.0 or later: it asks for many decisions in one
// call of a script, and says what each came to. It knows nothing of actors, queues or
// policies.
//
// A [Store] may be used by any number of goroutines. Each [Store.Run] is one round trip
// to each server that holds some of its keys, whatever the number of checks. What is
// decided is decided on the server, by its clock in microseconds and in whole numbers;
// requests for the same key are decided one after the other in the order they were given.
//
// # Bookings
//
// Of a bucket permits can be booked that come later. It is then what it was before, and the
// bookings, each at its time: one that is cancelled leaves a gap that others may use, as far
// as nothing is missing at the times that were told. A bucket with bookings is read and
// written whole, which takes the server a few µs more; a call has few that make or cancel some.
// If the rate of a key changes, its bookings can no longer be cancelled before their time, and
// what is owed stays as many tokens.
//
// # Keys
//
// A user's key is one key of Redis, whatever the number of tiers:
//
//	bulwark:1:bucket:{user-1}      a string, see bucket.lua
//	bulwark:1:log:{user-1}         a sorted set, see log.lua
//
// 1 is the version of what is kept there. Every key expires, at the latest a few seconds
// after twice the time that its limit needs to be whole again. A user of an ACL needs these
// keys and +eval +evalsha +time, with +mget +get +set for buckets, and with +zrange +zcount
// +zcard +zadd +zremrangebyscore +del +pttl +pexpire for logs.
//
// # What may go wrong
//
// An [Answer] has an error of its own: a [*KeyError] where a key is not ours, which concerns
// nobody else, or a [*Fault] where a server did not decide. [Class.NotRun] tells whether it
// certainly did not. Nothing that may have run is sent again, however the client is set.
//
// A clock that goes back, as when a replica takes over whose clock is behind, never lets
// more pass. A bucket then is at worst empty, from when it is next asked; one of which
// something is booked is what it was when that was last written. A log waits for
// the old time to come again if that is at most its longest window away, and otherwise goes
// on as if its newest permit had been taken now. A clock that jumps ahead lets through what
// the time would have brought.
//
// What a server loses, as when it is restarted, evicts keys, or is replaced by a replica that
// had not heard of the last writes, has not been used: at worst a limit starts afresh.
//
// The client's own timeouts bound a Run: DialTimeout times DialerRetries, which are many by
// default, PoolTimeout, WriteTimeout, ReadTimeout; the context only if ContextTimeoutEnabled
// is set, and in a Cluster each of MaxRedirects anew.
package store
