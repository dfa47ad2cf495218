package redislimiter

import (
	"testing"
	"time"

	"github.com/bulwark-go/bulwark/patterns"
	"github.com/bulwark-go/bulwark/patterns/ratelimiter"
)

const fuzzMost = 12

// fuzzed is a host under load, and how much passed.
type fuzzed struct {
	*host
	t       *testing.T
	all     []*caller
	leases  []int // in cells
	spent   []int
	gone    int64 // of what was granted, those that were given back
	charged bool  // something may have passed without Redis, or be used up by nobody
}

func fuzzConfig(b byte) Config {
	c := Config{
		OnOutage: Outage(b % 3), Instances: 1 + int(b>>2&1), Failures: 1 + int(b>>3&1), MaxBatch: 1 + int(b>>4&1)*3, MaxWaiting: int(b>>5&1) * 3,
	}
	switch b >> 6 {
	case 1:
		c.LeaseFor = 300 * time.Millisecond
	case 2:
		c.Mode = patterns.Leased(2, 0)
	case 3:
		c.Algorithm = ratelimiter.SlidingLog
	}
	return c
}

func FuzzMachine(f *testing.F) {
	f.Add([]byte("\x00\x00\x08\x10\x01\x02\x01\x0a"))
	f.Add([]byte{0x40, 0, 0, 1, 2, 0, 1, 2, 0, 0, 0x23, 0x23, 4, 1, 2})
	f.Add([]byte{0x80, 0, 1, 2, 0, 1, 2, 0, 1, 2, 6, 6, 7, 0x43, 6, 7})
	f.Add([]byte{0x09, 0, 1, 0x0a, 0, 8, 16, 0x23, 1, 0x0a, 0x43, 1, 2})
	f.Add([]byte{0x22, 0, 0, 0, 1, 2, 0, 0, 0, 0, 1, 2, 0x23, 5, 13, 21, 1, 2})
	f.Add([]byte{0x50, 0, 1, 2, 0, 1, 2, 0xa5, 0, 1, 0x12, 0x2d, 0x65, 4, 12, 0x83})
	f.Add([]byte{0x02, 0xf5, 0xf5, 1, 2, 0xf5, 0xfd, 1, 0xfd, 2, 0, 1, 0x0a, 0xfd, 0xf5, 0x43, 1, 2})
	f.Fuzz(func(t *testing.T, input []byte) {
		if len(input) == 0 || len(input) > 300 {
			return
		}
		if first, second := play(t, input), play(t, input); first != second {
			t.Fatalf("the same inputs give\n%s\nand\n%s", first, second)
		}
	})
}

func play(t *testing.T, input []byte) (story string) {
	z := &fuzzed{host: newHost(t, fuzzMost, fuzzConfig(input[0])), t: t}
	for _, b := range input[1:] {
		z.step(b&7, int(b>>3))
		z.check()
	}
	z.mustAnswerEverybody()
	z.mustAdmitAgain()
	for _, e := range z.events() {
		z.tell("%v", e.LogValue())
	}
	return z.story.String()
}

func (z *fuzzed) step(op byte, arg int) {
	switch op {
	case 0:
		r := patterns.Request{Key: string("\x00ab"[arg%3]), Weight: 1 + arg/3%3, NoWait: arg >= 16}
		if arg%3 == 0 {
			r = patterns.Request{NoWait: arg >= 16}
		}
		z.all = append(z.all, z.request(r))
	case 1:
		z.depart()
	case 2:
		how := fate(arg % int(fates))
		z.charged = z.charged || how != answered
		z.comeBack(how, arg >= 16)
	case 3:
		z.pass(time.Duration(arg*arg) * 2 * time.Millisecond)
	case 4:
		if len(z.out) > 0 {
			if c := z.end(arg%len(z.out), arg >= 16); arg >= 16 {
				z.gone += int64(max(1, c.r.Weight))
			}
		}
	case 5:
		z.disturb(arg)
	case 6:
		z.lease(arg)
	case 7:
		z.giveBack()
	}
}

func (z *fuzzed) disturb(arg int) {
	switch {
	case arg < 8:
		for _, c := range z.all {
			if !c.told && c.id%3 == uint64(arg%3) {
				z.leave(c)
			}
		}
	case arg < 12:
		question := []any{
			ratelimiter.Peek{Key: "a"}, ratelimiter.Take{Key: "a"}, ratelimiter.TakeUpTo{Key: "b", Weight: 3}, Forget{Key: "b"},
		}[arg-8]
		z.charged = true
		z.all = append(z.all, z.consult(question))
	case arg < 16:
		z.charged = true
		z.consult(ratelimiter.Override{Key: "a", Rate: ratelimiter.Rate{Count: int64(arg), Per: 300 * 24 * time.Hour}})
	case arg < 24:
		z.charged = true
		z.giveBack() // as the shell does before
		op := patterns.Operation{Kind: []patterns.OperationKind{patterns.Reset, patterns.ForceOpen, patterns.ForceClosed, patterns.MetricsOnly}[arg%4], For: time.Duration(arg) * 10 * time.Millisecond}
		if err := z.m.Operate(z.now, op); err != nil {
			z.t.Fatalf("%v: %v", op, err)
		}
		z.reconsider()
	case arg < 28:
		z.giveBack()
		z.charged = true
		c := z.m.cfg
		c.MaxBatch, c.Failures, c.MaxQueue = 1+arg%2, 1+arg%3, 100
		z.m.Reconfigure(z.now, c)
		z.reconsider()
	case arg == 28:
		z.charged = true
		z.leases, z.spent = nil, nil
		z.m.Repair(z.now)
	case arg == 29:
		z.m.Farewell(z.now)
		if held := z.m.held(); len(z.leases) == 0 && held != 0 {
			z.t.Fatalf("%d are held after the farewell", held)
		}
	case arg == 30:
		z.charged = true
		z.all = append(z.all, z.consult(ratelimiter.Reserve{Key: "a", Weight: 2}))
	case arg == 31:
		for _, c := range z.all {
			if v, ok := c.answer.(ratelimiter.Reservation); ok {
				z.all = append(z.all, z.consult(ratelimiter.CancelReservation{Reservation: v}))
				c.answer = nil
				return
			}
		}
	}
}

func (z *fuzzed) lease(want int) {
	if _, _, leased := z.m.cfg.Mode.Lease(); !leased || z.m.state == ratelimiter.ForcedOpen {
		return
	}
	n := z.m.Lease(z.now, want+1)
	if n < 0 || n > want+1 {
		z.t.Fatalf("lent %d of %d", n, want+1)
	}
	if n > 0 {
		z.leases, z.spent = append(z.leases, n), append(z.spent, n/2)
	}
}

func (z *fuzzed) giveBack() {
	for i, n := range z.leases {
		z.m.SettleLease(z.now, z.m.Epoch(), patterns.Tally{Success: z.spent[i], Unused: n - z.spent[i]})
		z.grants += int64(z.spent[i])
	}
	z.leases, z.spent = nil, nil
}

// check is what holds after each step: no more is taken than there is, and, as long as
// Redis answers, no more passes than was taken.
func (z *fuzzed) check() {
	if err := z.m.Check(); err != nil {
		z.t.Fatal(err)
	}
	if z.shelf.peak > fuzzMost {
		z.t.Fatalf("%d are taken of %d", z.shelf.peak, fuzzMost)
	}
	if have := z.grants - z.gone + z.held() + int64(z.m.sums.NotReturned); z.flying == nil && !z.charged && have != z.used() {
		z.t.Fatalf("%d are used, and %d passed, are held, or cannot be given back", z.used(), have)
	}
}

// held is what the limiter and its cells have of permits that nobody has, and what is to be
// given back.
func (z *fuzzed) held() (n int64) {
	for _, s := range z.m.stocks.all {
		n += s.tokens
	}
	for _, c := range z.m.back {
		n += c.n
	}
	for _, lent := range z.leases {
		n += int64(lent)
	}
	return n
}

func (z *fuzzed) used() (n int64) {
	for _, taken := range z.shelf.taken {
		n += taken
	}
	return n
}

func (z *fuzzed) mustAnswerEverybody() {
	z.giveBack()
	_ = z.m.Operate(z.now, patterns.Operation{Kind: patterns.Reset})
	z.reconsider()
	z.settle()
	if z.m.cfg.MaxWaiting > 0 { // whoever waits has permits
		for range 50 {
			z.shelf.set(func(s *shelf) { clear(s.taken) })
			z.pass(2 * time.Second)
			z.settle()
		}
	}
	for _, c := range z.all {
		if !c.told {
			z.t.Fatalf("%d is never told", c.id)
		}
	}
	if n := z.m.Snapshot(z.now, patterns.Counts{}); n.Down || n.Owing != 0 || n.OnTheWay != 0 || len(z.m.back) != 0 {
		z.t.Fatalf("left alone: %+v", n)
	}
}

func (z *fuzzed) mustAdmitAgain() {
	z.pass(time.Minute) // leases end
	z.settle()
	if held := z.m.held(); held != 0 {
		z.t.Fatalf("%d are held of what nobody asks for", held)
	}
	z.shelf.set(func(s *shelf) { clear(s.taken) })
	c := z.ask("", 1)
	z.settle()
	if !c.told || c.err != nil {
		z.t.Fatalf("after a minute alone: %v, %v", c.told, c.err)
	}
}
