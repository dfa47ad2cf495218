package rate

import (
	"math/big"
	"reflect"
	"slices"
	"testing"

	"pgregory.net/rapid"
)

// twin is a slow, obvious limiter.
type twin interface {
	passes(now, n int64) bool
	charge(now, n int64)
}

// ratBucket holds tokens as an exact fraction.
type ratBucket struct {
	count, period, burst int64
	tokens               *big.Rat
	last                 int64
}

func (b *ratBucket) refill(now int64) {
	earned := big.NewRat(now-b.last, b.period)
	b.tokens.Add(b.tokens, earned.Mul(earned, big.NewRat(b.count, 1)))
	if whole := big.NewRat(b.burst, 1); b.tokens.Cmp(whole) > 0 {
		b.tokens.Set(whole)
	}
	b.last = now
}

func (b *ratBucket) passes(now, n int64) bool {
	b.refill(now)
	return n == 0 || n <= b.burst && b.tokens.Cmp(big.NewRat(n, 1)) >= 0
}

func (b *ratBucket) charge(now, n int64) {
	b.refill(now)
	b.tokens.Sub(b.tokens, big.NewRat(n, 1))
}

// list remembers every permit and filters.
type list struct {
	limit int64
	gone  func(t, now int64) bool
	times []int64
}

func (l *list) passes(now, n int64) bool {
	l.times = slices.DeleteFunc(l.times, func(t int64) bool { return l.gone(t, now) })
	return n == 0 || int64(len(l.times))+n <= l.limit
}

func (l *list) charge(now, n int64) {
	for range n {
		l.times = append(l.times, now)
	}
}

// weighted remembers every permit and weighs those of the window before with a fraction.
type weighted struct {
	limit, width int64
	times        []int64
}

func (w *weighted) passes(now, n int64) bool {
	sum, index := new(big.Rat), now/w.width
	for _, t := range w.times {
		switch index - t/w.width {
		case 0:
			sum.Add(sum, big.NewRat(1, 1))
		case 1:
			sum.Add(sum, big.NewRat(w.width-now%w.width, w.width))
		}
	}
	return n == 0 || n <= w.limit && sum.Add(sum, big.NewRat(n, 1)).Cmp(big.NewRat(w.limit, 1)) <= 0
}

func (w *weighted) charge(now, n int64) {
	for range n {
		w.times = append(w.times, now)
	}
}

// grants remembers when what was paid for is over, as an exact fraction.
type grants struct {
	count, period int64
	next          *big.Rat
}

func (g *grants) passes(now, n int64) bool {
	return n == 0 || n <= g.count && g.next.Cmp(big.NewRat(now, 1)) <= 0
}

func (g *grants) charge(now, n int64) {
	if at := big.NewRat(now, 1); n > 0 && g.next.Cmp(at) < 0 {
		g.next = at
	}
	g.next.Add(g.next, big.NewRat(n*g.period, g.count))
}

// pair is a rule and its twin.
type pair struct {
	name string
	rule Rule
	twin twin
}

func drawPair(t *rapid.T) pair {
	count := rapid.Int64Range(1, 9).Draw(t, "count")
	period := rapid.Int64Range(count, 40).Draw(t, "period")
	switch rapid.IntRange(0, 4).Draw(t, "kind") {
	case 0:
		burst := rapid.Int64Range(1, 12).Draw(t, "burst")
		return pair{"bucket", NewBucket(count, period, burst), &ratBucket{count, period, burst, big.NewRat(burst, 1), 0}}
	case 1:
		return pair{"log", NewLog(count, period), &list{limit: count, gone: func(at, now int64) bool { return at <= now-period }}}
	case 2:
		return pair{"fixed", NewFixed(count, period, 0), &list{limit: count, gone: func(at, now int64) bool { return at/period != now/period }}}
	case 3:
		return pair{"counter", NewCounter(count, period, 0), &weighted{limit: count, width: period}}
	}
	return pair{"pacing", NewPacing(count, period), &grants{count, period, new(big.Rat)}}
}

func TestRulesDecideAsTheirTwins(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		p := drawPair(t)
		s := make([]uint64, p.rule.Words())
		p.rule.Start(s, 0)
		now := int64(0)
		for range rapid.IntRange(1, 60).Draw(t, "steps") {
			now += rapid.Int64Range(0, 15).Draw(t, "later")
			n := rapid.Int64Range(0, 4).Draw(t, "n")
			want := p.twin.passes(now, n)
			if wait := p.rule.Wait(s, now, n); (wait == 0) != want {
				t.Fatalf("%s at %d: Wait(%d) is %d, passes %v", p.name, now, n, wait, want)
			}
			checkNumbers(t, p, s, now, n)
			if want {
				p.rule.Charge(s, now, n)
				p.twin.charge(now, n)
			}
			if problem := p.rule.Check(s, now); problem != "" {
				t.Fatalf("%s at %d: %s", p.name, now, problem)
			}
		}
	})
}

// checkNumbers checks what a rule says of itself against what it then does.
func checkNumbers(t *rapid.T, p pair, s []uint64, now, n int64) {
	r, before := p.rule, slices.Clone(s)
	switch wait := r.Wait(s, now, n); {
	case wait < 0:
		if n <= r.Capacity() {
			t.Fatalf("%s: %d can pass, but never would", p.name, n)
		}
	case wait > 0:
		if r.Wait(s, now+wait, n) != 0 || r.Wait(s, now+wait-1, n) == 0 {
			t.Fatalf("%s at %d: a wait of %d for %d is not exact", p.name, now, wait, n)
		}
	}
	left := r.Remaining(s, now)
	if _, paced := r.(*Pacing); paced {
		if (left == 1) != (r.Wait(s, now, 1) == 0) {
			t.Fatalf("%s: remaining %d", p.name, left)
		}
	} else if r.Wait(s, now, left) != 0 || r.Wait(s, now, left+1) == 0 || left+r.Used(s, now) != r.Capacity() {
		t.Fatalf("%s: remaining %d, used %d", p.name, left, r.Used(s, now))
	}
	if after := now + r.Reset(s, now); !r.Fresh(s, after) {
		t.Fatalf("%s at %d: not fresh after its reset at %d", p.name, now, after)
	}
	if !slices.Equal(s, before) {
		t.Fatalf("%s: asking changed the state", p.name)
	}
}

func drawRule(t *rapid.T) Rule {
	if rapid.Bool().Draw(t, "warm-up") {
		return NewWarmUp(rapid.Int64Range(1, 9).Draw(t, "count"), 1000, 2000, rapid.Float64Range(1, 4).Draw(t, "factor"))
	}
	return drawPair(t).rule
}

// A key that was charged and got it back may never do more than one that was not
// charged, whatever else both do between and after.
func TestARefundNeverGivesMoreThanWasTaken(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		r := drawRule(t)
		s, never := make([]uint64, r.Words()), make([]uint64, r.Words())
		now, charges := int64(0), int64(1)
		r.Start(s, now)
		r.Start(never, now)
		both := func(steps int) {
			for range steps {
				now += rapid.Int64Range(0, 20).Draw(t, "later")
				n := rapid.Int64Range(0, 3).Draw(t, "n")
				if r.Wait(s, now, n) != 0 {
					continue
				}
				// WarmUp rounds each interval to a nanosecond, and the two round apart.
				slack := int64(0)
				if _, rounds := r.(*WarmUp); rounds {
					slack = charges
				}
				if wait := r.Wait(never, now, n); wait > slack {
					t.Fatalf("%T at %d: passes %d ns early because of the refund", r, now, wait)
				}
				charges++
				r.Charge(s, now, n)
				r.Charge(never, now, n)
			}
		}
		both(rapid.IntRange(0, 5).Draw(t, "before"))
		if taken := rapid.Int64Range(1, 4).Draw(t, "taken"); r.Wait(s, now, taken) == 0 {
			since := r.Since(s, now)
			r.Charge(s, now, taken)
			both(rapid.IntRange(0, 4).Draw(t, "between"))
			now += rapid.Int64Range(0, 20).Draw(t, "late")
			r.Refund(s, since, now, taken)
			if problem := r.Check(s, now); problem != "" {
				t.Fatalf("%T: %s", r, problem)
			}
		}
		both(20)
	})
}

func TestARefundAtOnceGivesAllBack(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		r := drawPair(t).rule
		s := make([]uint64, r.Words())
		r.Start(s, 0)
		now := rapid.Int64Range(0, 50).Draw(t, "now")
		r.Charge(s, now, min(rapid.Int64Range(0, 3).Draw(t, "used"), r.Remaining(s, now)))
		now += rapid.Int64Range(0, 50).Draw(t, "later")
		if n := rapid.Int64Range(1, 3).Draw(t, "n"); r.Wait(s, now, n) == 0 {
			left, reset := r.Remaining(s, now), r.Reset(s, now)
			r.Charge(s, now, n)
			r.Refund(s, now, now, n)
			if r.Remaining(s, now) != left || r.Reset(s, now) != reset {
				t.Fatalf("%T: remaining %d, was %d; reset %d, was %d", r, r.Remaining(s, now), left, r.Reset(s, now), reset)
			}
		}
	})
}

func TestConvertingKeepsWhatWasUsed(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		from, to := drawRule(t), drawRule(t)
		src, dst := make([]uint64, from.Words()), make([]uint64, to.Words())
		now := int64(0)
		from.Start(src, now)
		for range rapid.IntRange(0, 20).Draw(t, "steps") {
			now += rapid.Int64Range(0, 9).Draw(t, "later")
			if n := rapid.Int64Range(0, 3).Draw(t, "n"); from.Wait(src, now, n) == 0 {
				from.Charge(src, now, n)
			}
		}
		used, left := from.Used(src, now), from.Remaining(src, now)
		Convert(from, src, to, dst, now)
		if problem := to.Check(dst, now); problem != "" {
			t.Fatalf("%T to %T: %s", from, to, problem)
		}
		if _, warm := to.(*WarmUp); warm {
			return // what stored permits cost is less than their number
		}
		if _, bucket := to.(*Bucket); bucket && to.Remaining(dst, now) <= left {
			return // from bucket to bucket, tokens are kept
		}
		if a, b := reflect.TypeOf(from), reflect.TypeOf(to); a == b && a == reflect.TypeFor[*Log]() {
			return // a shorter window forgets sooner
		}
		// A counter weighs what it counted in its own window, as it always does.
		if got := to.Used(dst, now); got < min(used, to.Capacity()) {
			if _, counts := from.(*Counter); !counts {
				t.Fatalf("%T to %T: %d of %d used, was %d", from, to, got, to.Capacity(), used)
			}
		}
	})
}

// Changing a bucket and back at once changes nothing, up to 1 ns.
func TestConvertingABucketAndBackChangesNothing(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		a := NewBucket(rapid.Int64Range(1, 1e9).Draw(t, "count"), rapid.Int64Range(1e9, 1e15).Draw(t, "period"), rapid.Int64Range(1, 1000).Draw(t, "burst"))
		b := NewBucket(rapid.Int64Range(1, 1e9).Draw(t, "count'"), rapid.Int64Range(1e9, 1e15).Draw(t, "period'"), a.burst+rapid.Int64Range(0, 1000).Draw(t, "more"))
		s, other, back := make([]uint64, a.Words()), make([]uint64, b.Words()), make([]uint64, a.Words())
		a.Start(s, 0)
		a.Charge(s, 0, rapid.Int64Range(0, 2*a.burst).Draw(t, "used"))
		a.convert(s, b, other, 0)
		b.convert(other, a, back, 0)
		// Rounding up the other bucket's time by 1 ns is count'/period' permits.
		slack := int64(float64(a.cost(1).q)*float64(b.rate)/float64(b.period)) + 3
		if d := int64(back[0]) - int64(s[0]); d < -1 || d > slack {
			t.Fatalf("was full at %d, now at %d", int64(s[0]), int64(back[0]))
		}
	})
}

func TestWaitBehindIsWhenTheLastOfAQueuePasses(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		r := drawRule(t)
		s := make([]uint64, r.Words())
		r.Start(s, 0)
		now := rapid.Int64Range(0, 30).Draw(t, "now")
		for range rapid.IntRange(0, 5).Draw(t, "used") {
			now += rapid.Int64Range(0, 5).Draw(t, "later")
			if _, books := r.(Indebting); books || r.Wait(s, now, 1) == 0 {
				r.Charge(s, now, 1)
			}
		}
		queue := rapid.SliceOfN(rapid.Int64Range(1, min(3, r.Capacity())), 0, 6).Draw(t, "queue")
		n, ahead := rapid.Int64Range(1, min(3, r.Capacity())).Draw(t, "n"), int64(0)
		for _, a := range queue {
			ahead += a
		}
		light := n+ahead == int64(len(queue)+1)
		want, got := now, now+r.WaitBehind(s, now, ahead, n)
		for _, a := range append(queue, n) {
			want += r.Wait(s, want, a)
			r.Charge(s, want, a)
		}
		slack := 3 * int64(len(queue)+1) // each wait is rounded up
		exact, early := true, int64(0)
		switch r.(type) {
		case *WarmUp: // rounds up each part of each cost
			early = slack
		case *Log, *Fixed:
			exact = light
		case *Counter:
			exact = false
		}
		if d := want - got; exact && d > slack || d < -early {
			t.Fatalf("%T: said %d, it was %d", r, got, want)
		}
	})
}

// Of 5 permits that were out for 4 ns at one in a ns, 4 would have been lost to a full
// bucket: giving all 5 back would let 14 pass at one instant, of a burst of 10.
func TestARefundGivesOnlyWhatWouldNotHaveBeenLost(t *testing.T) {
	b := NewBucket(1, 1, 10)
	s := make([]uint64, b.Words())
	b.Start(s, 0)
	b.Charge(s, 0, 5)
	b.Charge(s, 4, 9)
	b.Refund(s, 0, 4, 5)
	if got := b.Remaining(s, 4); got != 1 {
		t.Errorf("%d left, want 1", got)
	}
	b.Refund(s, 0, 9, 5)
	if got := b.Remaining(s, 4); got != 1 {
		t.Errorf("%d left after a refund that is too late, want 1", got)
	}
}

// What a bucket would not have lost comes back in full: here it would have been full at 60.
func TestARefundIsFullUntilSomethingWouldHaveBeenLost(t *testing.T) {
	for _, r := range []Indebting{NewBucket(1, 10, 10), NewPacing(1, 10), NewWarmUp(1, 10, 10, 1)} {
		for late, lost := range map[int64]int64{60: 0, 65: 5, 79: 19, 80: 20, 1000: 20} {
			s := make([]uint64, r.Words())
			r.Start(s, 0)
			r.Charge(s, 0, 6)
			since := r.Since(s, 0)
			r.Charge(s, 0, 2)
			r.Refund(s, since, late, 2)
			if got, want := r.Reset(s, late), max(0, 60+lost-late); got != want {
				t.Errorf("%T: given back at %d it is whole after %d, want %d", r, late, got, want)
			}
		}
	}
	tiers := NewTiers(NewPacing(1, 10), NewBucket(1, 20, 10), NewLog(9, 100))
	s := make([]uint64, tiers.Words())
	tiers.Start(s, 0)
	tiers.Charge(s, 0, 3)
	if got := tiers.Since(s, 5); got != 5 {
		t.Errorf("a window knows its permits by when they were taken, not %d", got)
	}
	if got := NewTiers(NewPacing(1, 10), NewBucket(1, 20, 10)).Since(s, 5); got != 30 {
		t.Errorf("of several the earliest counts, not %d", got)
	}
}

func TestLongQueuesWaitForLong(t *testing.T) {
	const most = 1 << 62
	for _, r := range []Rule{NewBucket(1, most, 1), NewLog(1, most), NewFixed(1, most, 0), NewCounter(1, most, 0), NewPacing(1, most)} {
		s := make([]uint64, r.Words())
		r.Start(s, 0)
		r.Charge(s, 0, 1)
		if wait := r.WaitBehind(s, 5, 1<<62, 1); wait < most-10 {
			t.Errorf("%T: %d", r, wait)
		}
	}
}

// What Wait said at the time is kept exactly, however often; a gap before it is not filled.
func TestPromisesAreChargesOfTheirTime(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		r, ok := drawRule(t).(Indebting)
		if !ok {
			return
		}
		s, charged := make([]uint64, r.Words()), make([]uint64, r.Words())
		r.Start(s, 0)
		now := rapid.Int64Range(0, 50).Draw(t, "now")
		r.Charge(s, now, min(r.Capacity(), rapid.Int64Range(1, 9).Draw(t, "used")))
		copy(charged, s)
		for range rapid.IntRange(1, 9).Draw(t, "promises") {
			n := rapid.Int64Range(1, min(3, r.Capacity())).Draw(t, "n")
			at := now + r.Wait(s, now, n)
			if at == now {
				r.Charge(s, now, n)
			} else {
				r.Promise(s, at, n)
			}
			r.Charge(charged, now, n)
		}
		if !slices.Equal(s, charged) {
			t.Fatalf("%T: %v, want %v", r, s, charged)
		}
		later := now + r.Reset(s, now) + rapid.Int64Range(1, 50).Draw(t, "gap")
		r.Promise(s, later, 1)
		r.Charge(charged, later, 1)
		if !slices.Equal(s, charged) {
			t.Fatalf("%T: after a gap %v, want %v", r, s, charged)
		}
	})
}

// A queue that is served late each time is served in the same time, as long as nobody is
// later than a permit takes; and whoever is, lets only one more pass than may.
func TestLateTimersMakeAQueueNoSlower(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		period := rapid.Int64Range(10, 40).Draw(t, "period")
		count := rapid.Int64Range(1, 4).Draw(t, "count")
		burst := rapid.Int64Range(1, 3).Draw(t, "burst")
		rules := []Indebting{NewBucket(count, period, burst), NewPacing(count, period), NewWarmUp(count, period, 1, 1)}
		r := rapid.SampledFrom(rules).Draw(t, "rule")
		if _, bucket := r.(*Bucket); !bucket {
			burst = 1
		}
		most := int64(1 << 30)
		if rapid.Bool().Draw(t, "timely") {
			most = period/count - 1
		}
		s := make([]uint64, r.Words())
		r.Start(s, 0)
		r.Charge(s, 0, burst)
		var passed []int64
		now, late := int64(0), int64(0)
		for range 40 {
			now += r.Wait(s, now, 1)
			late = rapid.Int64Range(0, min(most, 3*period)).Draw(t, "late")
			now += late
			r.Late(s, 0, now, 1)
			passed = append(passed, now)
		}
		if most < period && now-late > 40*period/count+40 { // each wait is rounded up
			t.Fatalf("%T: 40 pass in %d, want %d", r, now-late, 40*period/count)
		}
		for i, from := range passed {
			for j, to := range passed[i:] {
				if more := (int64(j+1) - burst - 1) * period; more > (to-from+1)*count {
					t.Fatalf("%T: %d pass from %d to %d", r, j+1, from, to)
				}
			}
		}
	})
}
