package ratelimiter

import (
	"testing"
	"time"

	"github.com/bulwark-go/bulwark/patterns"
)

// use is what passed and was not given back.
type use struct {
	at patterns.Instant
	n  int64
}

// lease is one that is out.
type lease struct {
	at   patterns.Instant
	left int
	free bool // not charged
}

// fuzzed is a Machine under load, and what it let pass. A second one is ticked at every
// step as well, and must decide the same.
type fuzzed struct {
	t       *testing.T
	m, twin *Machine
	now     patterns.Instant // may step back
	id      uint64
	permits []patterns.PermitID
	booked  []Reservation
	uses    map[uint64]use // by permit; those of leases have made-up ones
	leases  []lease
}

const fuzzTTL = 20 * ms

func fuzzConfig(b byte) Config {
	c := Config{Algorithm: Algorithm(b % byte(algorithms)), MaxWaiting: int(b >> 7)}
	r := Rate{Count: int64(b>>3&3) + 1, Per: time.Duration(b>>5&3+1) * 10 * ms}
	if c.Algorithm == TokenBucket {
		r.Burst = int64(b>>3&7) + 1
		if b>>6&1 == 0 {
			c.Mode = patterns.Leased(4, fuzzTTL)
		}
	}
	if c.Algorithm == WarmUp {
		c.WarmUpFor = 50 * ms
	}
	c.Rate = r
	return c
}

func FuzzMachine(f *testing.F) {
	f.Add([]byte("\x00aaaaabbbbbbbbt9a!b"))
	f.Add([]byte{1, 0, 8, 0, 49, 0, 2, 0, 57, 0, 0, 1, 0})
	f.Add([]byte{0x38, 5, 5, 6, 6, 9, 5, 7, 49, 5, 0, 0, 0, 6, 6, 7, 0, 0})
	f.Add([]byte{3, 0, 0, 0, 0, 249, 0, 0, 0, 4, 0, 1, 0, 0})
	f.Add([]byte{4, 0, 0, 41, 0, 2, 0, 0, 81, 0, 8, 0})
	f.Add([]byte{2, 0, 0, 73, 0, 0, 2, 2, 0, 0, 73, 0, 3, 0})
	f.Add([]byte{5, 0, 0, 255, 0, 0, 255, 0, 2, 0, 13, 0})
	f.Add([]byte{4, 0, 200, 200, 200, 200, 130, 9, 0, 200, 138, 41, 0, 0})
	f.Add([]byte{0x42, 0, 200, 200, 208, 200, 130, 9, 0, 200, 138, 41, 0, 0})
	f.Fuzz(func(t *testing.T, input []byte) {
		if len(input) == 0 || len(input) > 300 {
			return
		}
		cfg := fuzzConfig(input[0])
		z := &fuzzed{t: t, m: newTestMachine(cfg), twin: newTestMachine(cfg), uses: map[uint64]use{}}
		for _, b := range input[1:] {
			z.step(b&7, int64(b>>3))
			z.check()
		}
		z.mustAdmitAgain()
	})
}

func (z *fuzzed) step(op byte, arg int64) {
	z.twin.Tick(z.now)
	switch op {
	case 0:
		if arg >= 20 {
			z.reserve(int(arg%3)+1, time.Duration(arg)*ms)
		} else {
			z.acquire(int(arg%3) + 1)
		}
	case 1:
		z.now = z.now.Add(time.Duration(arg*arg) * ms / 8)
	case 2:
		if arg >= 16 {
			z.cancel(int(arg))
		} else {
			z.release(int(arg))
		}
	case 3:
		z.m.Tick(z.now) // or only the twin would know of this time
		z.now = z.now.Add(-time.Duration(arg) * ms)
	case 4:
		z.operate(int(arg))
	case 5:
		z.lease(int(arg) + 1)
	case 6:
		z.spend(int(arg))
	case 7:
		z.giveBack(int(arg))
	}
	z.endLeases()
}

func (z *fuzzed) acquire(n int) {
	z.id++
	r := &patterns.Request{Weight: n}
	d, twin := z.m.Acquire(z.now, z.id, r), z.twin.Acquire(z.now, z.id, r)
	if d.Verdict != twin.Verdict {
		z.t.Fatalf("at %d: %v, but %v if ticked", z.now, d, twin)
	}
	switch d.Verdict {
	case patterns.Wait:
		if again := z.m.Again(); again <= z.m.hi || again == patterns.Never {
			z.t.Fatalf("at %d: to be asked again at %d", z.m.hi, again)
		}
	case patterns.Grant:
		z.permits = append(z.permits, patterns.PermitID{Epoch: d.Epoch, ID: z.id})
		if z.m.state == Limiting {
			z.use(z.id, n)
		}
	}
}

func (z *fuzzed) release(i int) {
	if len(z.permits) == 0 {
		return
	}
	i %= len(z.permits)
	p := z.permits[i]
	z.permits = append(z.permits[:i], z.permits[i+1:]...)
	z.m.Release(z.now, p)
	z.twin.Release(z.now, p)
	delete(z.uses, p.ID)
}

func (z *fuzzed) operate(arg int) {
	for i := range z.leases { // the shell ends every lease before
		z.giveBack(i)
	}
	op := patterns.Operation{Kind: patterns.OperationKind(arg % 4), For: time.Duration(arg) * ms}
	if arg == 31 {
		z.m.Repair(z.now)
		z.twin.Repair(z.now)
		return
	}
	if z.m.Operate(z.now, op) != nil || z.twin.Operate(z.now, op) != nil {
		z.t.Fatalf("refused %v", op)
	}
	z.booked = nil // or give nothing back any more
	if op.Kind == patterns.Reset {
		clear(z.uses)
	}
}

func (z *fuzzed) lease(want int) {
	n := z.m.Lease(z.now, want)
	if twin := z.twin.Lease(z.now, want); n != twin || n > want || n < 0 {
		z.t.Fatalf("at %d: lent %d of %d, but %d if ticked", z.now, n, want, twin)
	}
	if n > 0 {
		z.leases = append(z.leases, lease{z.m.hi, n, z.m.state == ForcedClosed})
	}
}

func (z *fuzzed) spend(i int) {
	if len(z.leases) == 0 {
		return
	}
	if l := &z.leases[i%len(z.leases)]; l.left > 0 {
		l.left--
		z.id++
		if !l.free && z.m.state != ForcedClosed {
			z.use(z.id, 1)
		}
	}
}

// endLeases does as the shell does: a lease ends before it is twice as old as its ttl.
func (z *fuzzed) endLeases() {
	for i, l := range z.leases {
		if z.now >= l.at.Add(2*fuzzTTL) || z.m.state == ForcedOpen {
			z.now = max(z.now, z.m.hi)
			z.giveBack(i)
		}
	}
}

func (z *fuzzed) giveBack(i int) {
	if len(z.leases) == 0 {
		return
	}
	l := &z.leases[i%len(z.leases)]
	if l.left > 0 {
		z.m.SettleLease(z.now, 1, patterns.Tally{Unused: l.left})
		z.twin.SettleLease(z.now, 1, patterns.Tally{Unused: l.left})
		l.left = 0
	}
}

func (z *fuzzed) reserve(n int, within time.Duration) {
	r := &patterns.Request{Weight: n}
	v, err := z.m.Reserve(z.now, r, within)
	twin, other := z.twin.Reserve(z.now, r, within)
	if (err == nil) != (other == nil) || !v.At.Equal(twin.At) || v.ID != twin.ID {
		z.t.Fatalf("at %d: booked %v, %v, but %v, %v if ticked", z.now, v, err, twin, other)
	}
	if err == nil && v.ID != 0 {
		z.booked = append(z.booked, v)
		if z.m.state == Limiting {
			z.useAt(patterns.Instant(v.At.Sub(origin)), v.ID<<32, n)
		}
	}
}

func (z *fuzzed) cancel(i int) {
	if len(z.booked) == 0 {
		return
	}
	i %= len(z.booked)
	v := z.booked[i]
	z.booked = append(z.booked[:i], z.booked[i+1:]...)
	ok := z.m.Cancel(z.now, v)
	if twin := z.twin.Cancel(z.now, v); ok != twin || z.m.Cancel(z.now, v) {
		z.t.Fatalf("at %d: cancelled %v, but %v if ticked, or twice", z.now, ok, twin)
	}
	if ok {
		delete(z.uses, v.ID<<32)
	}
}

// use enters what passed.
func (z *fuzzed) use(id uint64, n int) { z.useAt(z.m.hi, id, n) }

// useAt enters what passes, now or later, and checks that in no time around it more does
// than may.
func (z *fuzzed) useAt(at patterns.Instant, id uint64, n int) {
	z.uses[id] = use{at, int64(n)}
	for _, from := range z.uses {
		for _, to := range z.uses {
			if from.at > at || to.at < at {
				continue
			}
			sum := int64(0)
			for _, u := range z.uses {
				if u.at >= from.at && u.at <= to.at {
					sum += u.n
				}
			}
			if z.over(from.at, to.at, sum, to.n) {
				z.t.Fatalf("%v of %v: %d pass from %d to %d", z.m.cfg.Algorithm, z.m.cfg.Rate, sum, from.at, to.at)
			}
		}
	}
}

// over reports whether sum is more than may pass from one instant to another, both of
// them included, the last of it being last.
func (z *fuzzed) over(from, to patterns.Instant, sum, last int64) bool {
	r := z.m.cfg.Rate
	span, width := int64(to-from), int64(r.Per)
	if len(z.booked) > 0 {
		span++ // a reservation's time is rounded up to a nanosecond
	}
	switch z.m.cfg.Algorithm {
	case TokenBucket:
		return (sum-r.Burst)*width > span*r.Count
	case SlidingLog:
		return span < width && sum > r.Count
	case SlidingWindow, FixedWindow:
		return int64(from)/width == int64(to)/width && sum > r.Count
	}
	// What comes last pays later.
	return from < to && (sum-last)*width > span*r.Count && z.sameInstant(to) == 1
}

func (z *fuzzed) sameInstant(at patterns.Instant) (n int) {
	for _, u := range z.uses {
		if u.at == at {
			n++
		}
	}
	return n
}

func (z *fuzzed) check() {
	for _, m := range []*Machine{z.m, z.twin} {
		if err := m.Check(); err != nil {
			z.t.Fatal(err)
		}
	}
	z.twin.Tick(z.now)
	if at := z.twin.Wake(); at <= z.twin.hi {
		z.t.Fatalf("after Tick(%d), Wake is %d", z.now, at)
	}
}

func (z *fuzzed) mustAdmitAgain() {
	if err := z.m.Operate(z.now, patterns.Operation{Kind: patterns.ForceOpen, For: 1}); err != nil {
		z.t.Fatal(err)
	}
	z.now = max(z.now, z.m.hi).Add(time.Hour)
	if d := z.m.Acquire(z.now, 0, &patterns.Request{}); d.Verdict != patterns.Grant {
		z.t.Fatalf("after an hour alone: %v", d)
	}
}
