// Package ratelimiter lets at most so much pass in a time: permits at some rate, for
// everybody together or for each key, refused or made to wait when they exceed it.
//
// Read machine.go first: Machine is the whole limiter, with no goroutine, clock or actor
// in it. What it asks of each algorithm is the interface in patterns/internal/rate, one
// file per algorithm; keys.go is how there can be a million of them; queue.go is who may
// wait, questions.go what can be asked, futures.go what was promised for later, and
// lease.go how permits travel in bulk. The actors around Machines are in package actors,
// and Limiter is what callers hold.
//
// # What happens to a request
//
//	              all rates have enough, and nobody waits
//	request ────────────────────────────────▶ passes, and uses all of them
//	   │
//	   ├─ it never can: too heavy ──────────▶ *WeightError
//	   ├─ its turn comes in time ───────────▶ waits, in the order of asking
//	   └─ else ─────────────────────────────▶ *LimitError, which knows when to try again
//
// A request passes at exactly the time that it was told. What was refused uses nothing.
// Those who wait do so for themselves: callers of one key never wait behind those of
// another. A timer that is late delays nobody but the one it was for: up to one permit that
// came meanwhile is not lost. Who leaves the queue, or has a reservation cancelled before its time, leaves no
// hole in it.
//
// # Which algorithm
//
//	               in any time t passes at most         words per key
//	TokenBucket    burst + rate·t                       1, or 2
//	SlidingLog     count in any period, exactly         2 + count
//	SlidingWindow  count, at worst almost twice that    3
//	FixedWindow    count, twice that around a border    2
//	Smooth         1 + rate·t, evenly spaced            1, or 2
//	WarmUp         less than Smooth after idle time     2
//
// One word is enough where a permit of the rate takes a whole number of nanoseconds.
//
// # Giving back
//
// A permit that was released without being used gives back what it took, less what would
// have been lost without it: a bucket would have run over. So what passed and was not
// given back never exceeds the rates. Reported permits stay used, however the call went,
// and so do those that are spent at once: there is nothing to report of them.
//
// # Keys
//
// Each key of a Request has the rates to itself, and so have all requests without one
// together. A key is known by 16 bytes of SipHash-2-4 under a secret random seed: nobody
// who does not know the seed can make two keys that are taken for one, and that any two of
// a thousand million are has a chance below 2^-68. A record is dropped when its key has
// used nothing that still counts, which is when it is worth nothing, and never before: so
// there is no time-to-live to choose, and no way to a fresh budget by flooding. When
// MaxKeys records are in use, further keys share 64 budgets by their fingerprints, until
// there is room; a key that comes from there takes with it what was used there.
//
// Keys are dealt out to one actor per processor, if there may be enough of them. Each has
// a Machine of its own.
//
// # What a restart keeps
//
// The actor's restart keeps the Machine. If Machine.Check finds it sound, that is
// all. If not, Machine.Repair rebuilds it:
//
//	                          sound   repaired
//	what was used             kept    everything is used up, and comes back at the rates
//	who waits                 kept    kept, by the actor
//	keys                      kept    all start used up
//	rates of single keys      kept    kept
//	forced state, its end     kept    kept; a state that is none limits
//	Config, counts            kept    kept
//	permits in flight         kept    give nothing back
//	reservations              kept    give nothing back
//	leases                    kept    lost: what was not spent is not given back
//	epoch                     kept    bumped, with cause repaired
//
// A permit whose Report the actor failed on is taken for one that was not used.
package ratelimiter
