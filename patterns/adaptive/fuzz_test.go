package adaptive

import (
	"testing"
	"time"

	"github.com/bulwark-go/bulwark/patterns"
)

func fuzzConfig(b byte) Config {
	c := Config{Algorithm: algorithms()[int(b&7)%len(algorithms())], Initial: 4, Min: 1, Max: 40, MaxTenants: 4}
	if b&8 != 0 {
		c.Fair = true
	}
	if b&16 != 0 {
		c.Partitions = Guarantee(map[string]float64{"a": 0.5, "b": 0.2})
	}
	if b&32 != 0 {
		c.MaxWaiting, c.Queue, c.MaxWait = 5, Queue(b>>6+b&1)%queues, time.Duration(b&1)*ms
	}
	if b&64 != 0 {
		c.MaxLatency = ms
	}
	if b&128 != 0 {
		c.Mode = patterns.Leased(0, 0)
	}
	return c
}

// Whatever happens, the counts add up, the limit keeps its bounds, and left alone long
// enough the machine admits again.
func FuzzMachine(f *testing.F) {
	f.Add([]byte("\x00aaaabbbbccccdddd0123456789"))
	f.Add([]byte{0x09, 0, 8, 16, 24, 1, 33, 65, 2, 3, 4, 5, 6, 7, 15, 0, 0, 1})
	f.Add([]byte{0x58, 0, 0, 0, 0, 255, 1, 254, 1, 253, 1, 6, 14, 22, 0, 1})
	f.Fuzz(func(t *testing.T, input []byte) {
		if len(input) == 0 {
			return
		}
		h := newHost(t, fuzzConfig(input[0]))
		for _, b := range input[1:] {
			fuzzStep(h, b&7, int(b>>3))
			h.sound()
		}
		mustAdmitAgain(h)
	})
}

func fuzzStep(h *host, op byte, arg int) {
	h.now += patterns.Instant(arg) * patterns.Instant(ms)
	switch op {
	case 0, 1:
		h.acquire(patterns.Request{Key: string(rune('a' + arg%7)), Weight: arg % 3, Priority: patterns.Priority(arg%5 - 2)})
	case 2, 3:
		if len(h.out) > 0 {
			h.report(arg%len(h.out), patterns.Outcome(arg%4), time.Duration(arg*arg)*ms/4)
		}
	case 4:
		switch r := (patterns.Request{Key: string(rune('a' + arg%7)), Priority: patterns.Priority(arg%5 - 2), Asked: max(h.now-patterns.Instant(arg)*patterns.Instant(ms), 1)}); {
		case arg < 10 && len(h.out) > 0:
			h.release(arg % len(h.out))
		case arg < 20: // somebody's turn
			if d := h.acquire(r); d.Verdict == patterns.Wait && h.m.Again() <= h.now {
				h.t.Fatalf("again at %d, and it is %d", h.m.Again(), h.now)
			}
		case arg < 28:
			r.Deadline, r.NoWait = h.now+patterns.Instant(arg), arg == 27
			until, _, err := h.m.Join(h.now, &r, patterns.Queue{Waiting: arg - 20, Total: arg - 20, Ahead: arg - 20})
			if err == nil && until <= h.now {
				h.t.Fatalf("waits until %d, and it is %d", until, h.now)
			}
		default:
			if _, err := h.m.Expired(h.now, &r); err == nil {
				h.t.Fatal("expired without a reason")
			}
		}
	case 5:
		n := h.m.Lease(h.now, arg)
		h.m.SettleLease(h.now, h.m.Epoch(), patterns.Tally{Success: n / 2, Unused: n - n/2})
	case 6:
		_ = h.m.Operate(h.now, patterns.Operation{Kind: patterns.OperationKind(arg % 4), For: time.Duration(arg/4) * ms})
	case 7:
		if arg&1 != 0 {
			h.m.Repair(h.now)
			return
		}
		h.m.Reconfigure(h.now, fuzzConfig(byte(arg*9)))
	}
}

func mustAdmitAgain(h *host) {
	h.t.Helper()
	for len(h.out) > 0 {
		h.release(0)
	}
	if h.m.inFlight != 0 {
		h.t.Fatalf("%d in flight, and nothing is out", h.m.inFlight)
	}
	must2(h, h.m.Operate(h.now, patterns.Operation{Kind: patterns.ForceOpen, For: ms}))
	h.now = h.m.Wake()
	if h.m.Tick(h.now); h.m.Wake() <= h.now {
		h.t.Fatal("still due after Tick")
	}
	for p := patterns.Background; p <= patterns.Critical; p++ {
		if h.take(1, patterns.Request{Priority: p}) != 1 {
			h.t.Fatalf("priority %v is never admitted again", p)
		}
		h.report(0, patterns.Success, ms)
	}
}

func must2(h *host, err error) {
	h.t.Helper()
	if err != nil {
		h.t.Fatal(err)
	}
}

// FuzzLimits: bounds hold for samples that make no sense at all.
func FuzzLimits(f *testing.F) {
	f.Add([]byte{0, 1, 2, 3, 4, 5, 6, 7, 8, 9})
	f.Fuzz(func(t *testing.T, input []byte) {
		odd := []time.Duration{0, 1, -5, time.Nanosecond, ms, time.Hour, 1 << 62, 1<<63 - 1}
		most := time.Duration(len(input)%3-1) * ms
		for _, a := range algorithms() {
			l := a.New(Bounds{Initial: 7, Min: 2, Max: 90, MaxLatency: most})
			now := patterns.Instant(0)
			for _, b := range input {
				now += patterns.Instant(int(b>>5)-1) * patterns.Instant(ms)
				n := l.Observe(Sample{
					Now: now, RTT: odd[b&7], InFlight: int(b) - 3, Left: int(b>>2) - 3,
					Full: b&16 != 0, Dropped: b&8 != 0,
				})
				if e := l.Estimate(); n < 2 || n > 90 || !(e >= 2 && e <= 90) || n != int(e) {
					t.Fatalf("%v: limit %d, estimate %v", a, n, e)
				}
			}
		}
	})
}
