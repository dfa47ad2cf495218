package rate

// A Rule is one limit. Its methods take s, the Words() words of one key, which Start
// has set; n is a number of permits and is never negative. n of 0 always passes and
// changes nothing.
type Rule interface {
	// Words is how many words of state a key has.
	Words() int

	// Capacity is the most that can ever be taken at once.
	Capacity() int64

	// Start makes s a key that has used nothing.
	Start(s []uint64, now int64)

	// Wait returns how long from now n pass if nothing else happens: 0 means now, -1
	// never. It changes nothing.
	Wait(s []uint64, now, n int64) int64

	// WaitBehind is Wait with ahead permits, which may be more than Capacity, to be taken by
	// others before: how long the last of a queue waits. It is exact if they weigh 1 each;
	// of heavier ones, and with a Counter, it may be too short, and it is never too long.
	WaitBehind(s []uint64, now, ahead, n int64) int64

	// Charge takes n, which is at most Capacity, whether Wait said 0 or not. Only an
	// Indebting rule charges exactly what Wait did not say 0 to.
	Charge(s []uint64, now, n int64)

	// Remaining is how many would pass now.
	Remaining(s []uint64, now int64) int64

	// Used is how many of Capacity are used, rounded up. Above Capacity it is debt.
	Used(s []uint64, now int64) int64

	// Reset returns how long from now the limit is whole again if nothing else happens.
	Reset(s []uint64, now int64) int64

	// Since is what Refund needs of a Charge that is to be made now: when, at the
	// earliest, something would be lost without it.
	Since(s []uint64, now int64) int64

	// Refund takes back a Charge of n, before which Since was asked. What would have been
	// lost without that charge is not given: after any refund the key may do no more than
	// if the charge had never been.
	Refund(s []uint64, since, now, n int64)

	// Fresh reports whether s may be forgotten: Start would make the same of it.
	Fresh(s []uint64, now int64) bool

	// Check returns what is wrong with s, or "".
	Check(s []uint64, now int64) string
}

// Indebting is a Rule that can take permits of the future.
type Indebting interface {
	Rule

	// Promise is Charge of n that will be used at an instant to come: that which Wait said, or,
	// if others before have given theirs back since, a later one.
	Promise(s []uint64, at, n int64)

	// Late is Charge of n now, for somebody who has waited since from and is served late: what
	// came meanwhile is not lost to it, up to the time of one permit. So timers that are late
	// make a queue no slower, and after a long pause only one more passes than may.
	Late(s []uint64, from, now, n int64)
}

// Convert makes of a key's words under the rule from its words under the rule to. Between
// buckets the tokens stay, as many as have room: nothing is gifted when the burst grows.
// Between other rules what was used stays used, as far as it can.
func Convert(from Rule, src []uint64, to Rule, dst []uint64, now int64) {
	if same, ok := from.(converter); ok && same.convert(src, to, dst, now) {
		return
	}
	used := min(from.Used(src, now), to.Capacity())
	to.Start(dst, now)
	to.Charge(dst, now, used)
}

// converter is a Rule that knows more about another of its kind than what was used.
// convert returns false if to is none that it knows. src and dst may be the same words.
type converter interface {
	convert(src []uint64, to Rule, dst []uint64, now int64) bool
}

// Drain takes all there is: nothing passes before what Capacity takes to come back.
func Drain(r Rule, s []uint64, now int64) {
	r.Start(s, now)
	r.Charge(s, now, r.Capacity())
}
