package actors

import (
	"iter"
	"time"

	"github.com/bulwark-go/bulwark/patterns"
)

// Rules are what a pattern decides. An implementation is pure: it has no
// goroutine, lock, channel, clock or randomness of its own, and the same inputs
// give the same outputs. The shell calls it from one turn at a time, so it needs no
// protection. Every method settles what is due by now before it does anything else,
// and works with the largest now it has seen, so that a clock that steps back
// freezes time instead of refunding it.
type Rules interface {
	// Acquire decides on r. On Grant, id becomes the permit's ID. r is only valid
	// during the call.
	Acquire(now patterns.Instant, id uint64, r *patterns.Request) patterns.Decision

	// Report ends the permit p with outcome o after elapsed (0 = not measured). The
	// shell calls it at most once per permit ID. counted is false if p is stale, and
	// then nothing changed. dirty is as in patterns.Decision.
	Report(now patterns.Instant, p patterns.PermitID, o patterns.Outcome, elapsed time.Duration) (counted, dirty bool)

	// Release ends the permit p without a verdict: given back, holder gone, or its
	// deadline passed.
	Release(now patterns.Instant, p patterns.PermitID) (dirty bool)

	// Tick makes every transition that is due by now. Calling it twice is harmless.
	Tick(now patterns.Instant) (dirty bool)

	// Wake is when Tick next has something to do: after now, once Tick(now) ran, or
	// patterns.Never.
	Wake() patterns.Instant

	// Epoch is the version of the state; permits carry the one they were granted in.
	Epoch() uint64

	// Drain yields, oldest first, the events since the last Drain.
	Drain() iter.Seq[patterns.Event]

	// Operate carries out an operator's command, or says why not: a *patterns.ConfigError of
	// the Field Kind if the pattern has no meaning for it.
	Operate(now patterns.Instant, op patterns.Operation) error

	// Timeless reports that until the next dirty call, Acquire and Report(Success)
	// do not look at now, so that the shell may pass an old one and spare a clock
	// reading.
	Timeless() bool

	// Measured reports that Report looks at elapsed.
	Measured() bool

	// Refusal is the error with which every request is refused until the instant
	// until, if that is so. The handle then refuses without asking.
	Refusal() (err error, until patterns.Instant, ok bool)

	// Check returns an error if an invariant does not hold, and Repair then rebuilds
	// what cannot be trusted, conservatively, and bumps the epoch. The shell calls
	// both after a restart.
	Check() error
	Repair(now patterns.Instant)
}

// Machine is Rules with the pattern's own Config C and Snapshot S.
type Machine[C comparable, S any] interface {
	Rules

	// Reconfigure changes the rules and keeps what was learned, as far as the new
	// ones have room for it. c was validated.
	Reconfigure(now patterns.Instant, c C)

	// Snapshot returns the state as of now, with the shell's counts in it.
	Snapshot(now patterns.Instant, counts patterns.Counts) S
}

// Lessor is a Machine that can hand out permits in bulk (see patterns.Leased).
//
// What Lease lends counts as granted, capacity and all, from then on. Each permit of it
// comes back exactly once, and with it its capacity, in one of three ways, in any
// order and whatever has become of its epoch:
//
//   - SettleLease with Unused: it was not spent, or released without a verdict, or
//     its caller left. There is no Release for a leased permit.
//   - SettleLease with Success: it was spent, and the call was quick and good.
//   - Report: anything else, with an ID that no Acquire ever saw, and the lease's epoch.
//     A success comes like this too if it was slow, or came after its lease was
//     forgotten. The successes reported before it have been settled.
//
// Successes are settled when the cell gets its next lease, before anything but a
// success is reported, before an operator's command or a Snapshot, and otherwise
// within patterns.Mode's ttl: until then their capacity is not free, and a request
// that waits for it is not served. Before an operator's command, and whenever the
// epoch has changed or there is a Refusal, every lease ends.
type Lessor interface {
	// Lease lends as many permits as it returns, at most want, to be spent without
	// asking as long as the epoch stays the same. 0 means ask for each. It may lend less
	// than there is: what one cell does not spend, no other can before ttl is over.
	// The shell calls Tick before, so that Lease changes no state.
	Lease(now patterns.Instant, want int) int

	// SettleLease takes back permits leased in epoch: Success and Unused of t are the
	// only numbers that are set. counted is false if the epoch is over; then
	// nothing but capacity is given back. dirty is as in patterns.Decision.
	SettleLease(now patterns.Instant, epoch uint64, t patterns.Tally) (counted, dirty bool)

	// SlowAfter is the elapsed time above which even a success is reported at once
	// instead of with its lease; 0 means none is.
	SlowAfter() time.Duration
}

// Queuer is a Machine whose requests may wait: without it, a request that Acquire answers
// with Wait is refused. The host keeps the queue, and asks again for the request whose
// turn is next, with its Asked set, when a permit ends, when Tick ran, after a command, and
// at Again.
type Queuer interface {
	// Join is asked when r cannot be granted at once, or must not overtake those who wait.
	// It returns until when r waits at most, Never for as long as its caller likes, or the
	// error that refuses it: the queue is full, its turn would come too late, or it is one
	// that does not wait. dirty is as in patterns.Decision.
	Join(now patterns.Instant, r *patterns.Request, q patterns.Queue) (until patterns.Instant, dirty bool, err error)

	// Expired returns the refusal of r, which has waited until the instant that Join gave.
	Expired(now patterns.Instant, r *patterns.Request) (dirty bool, err error)

	// Order is how those who wait are served. It may change with time, at a dirty step.
	Order() patterns.Order

	// Again is when to ask once more for the request that Acquire has just answered with
	// Wait, should nothing change before: after now, or Never.
	Again() patterns.Instant

	// Freed names the key whose requests may be served after the last Report, Release or
	// Consult; all means any key's. It is asked for in Keyed order only.
	Freed() (key string, all bool)
}

// Spender is a Machine that takes requests with Spend set: it grants them without
// remembering the permit, and no Report or Release follows.
type Spender interface {
	// Spends reports whether it does.
	Spends() bool
}

// Unhurried is rules whose Report looks at no time, whatever the outcome: the host spares
// the reading of the clock.
type Unhurried interface {
	// Unhurried reports whether it does not, ever.
	Unhurried() bool
}

// Referrer is rules that leave some decisions to something outside, such as a store that
// several processes share. Where Acquire or Consult says Refer, the host loads the request,
// or the question, on an Errand, together with all that came meanwhile, and decides when
// the Errand is back. One is under way at a time, so that of each key is asked in order.
// Producers are not served.
type Referrer interface {
	// Refers reports that most requests are referred, so that it is not worth trying for a
	// turn on the spot. It may change at a dirty step.
	Refers() bool

	// Punctual reports that Carry ends soon after its time by itself, whatever the other side
	// does: a caller who would wait that long anyway may be the one who carries.
	Punctual() bool

	// Room is how many may wait to be sent; the next is refused.
	Room() int

	// Wants reports that there is something to carry even without requests.
	Wants(now patterns.Instant) bool

	// Load puts a request, or a question if that is not nil, in the i-th place of the errand
	// that is being made up. It returns false if it has no room, or if nothing may be sent
	// now; the host tries again after the next dirty step.
	Load(now patterns.Instant, i int, r *patterns.Request, question any) (ok bool)

	// Depart ends the errand of n requests, and says how long it may take. It returns nil if
	// n is 0 and there is nothing else to carry.
	Depart(now patterns.Instant, n int) (errand patterns.Errand, within time.Duration)

	// Return says that the errand is back, or, with context.DeadlineExceeded, that nobody
	// waits for it any more: then what it was given may still be in use. If it is dirty,
	// those that have not been sent are decided on again.
	Return(now patterns.Instant, errand patterns.Errand, err error) (dirty bool)

	// Conclude is Acquire for the i-th request of an errand that has returned. It may say
	// Refer once more.
	Conclude(now patterns.Instant, errand patterns.Errand, i int, id uint64, r *patterns.Request) patterns.Decision

	// Inform is Consult for the i-th one, a question.
	Inform(now patterns.Instant, errand patterns.Errand, i int, question any) patterns.Consultation

	// Disown says that nobody waits for the answer to the i-th one any more: what it took is
	// to be given back.
	Disown(now patterns.Instant, errand patterns.Errand, i int) (dirty bool)

	// Farewell says that the guard is about to stop: what it holds elsewhere is to be given
	// back.
	Farewell(now patterns.Instant)
}

// Consultant is a Machine that answers questions of its pattern's own, sent as Consult.
type Consultant interface {
	// Consult answers the question. Of one that it does not know Answer and Err are
	// both nil; the host then refuses it with ErrUnsupported.
	Consult(now patterns.Instant, question any) patterns.Consultation
}

// Follower is a Consultant whose questions may ask for permits, as requests do, and then
// must not overtake those who wait.
type Follower interface {
	// Behind says who waits for the key of an Addressed question, or of none otherwise,
	// before Consult is asked. It is not called while nobody waits at all.
	Behind(q patterns.Queue)
}

// Planner is a Machine of a policy, whose callers go by a plan without asking anybody.
type Planner interface {
	// Plan returns what Handle.Plan does from now on. It is asked at the start and after each
	// dirty step, and what it returns must not change.
	Plan() any
}
