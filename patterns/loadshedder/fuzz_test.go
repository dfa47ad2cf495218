package loadshedder

import (
	"testing"
	"time"

	"github.com/bulwark-go/bulwark/patterns"
	"github.com/bulwark-go/bulwark/patterns/internal/machinetest"
)

func FuzzMachine(f *testing.F) {
	f.Add([]byte("\x00aaaaabbbbbbbbt9a!b"))
	f.Add([]byte{0x25, 0x10, 0, 0, 0, 0, 0, 1, 1, 1, 8, 16, 3, 2, 1, 4, 5})
	f.Add([]byte{0x18, 0xff, 64, 128, 0, 72, 2, 2, 7, 3, 15, 15, 15, 0, 0, 255, 255})
	f.Add([]byte{0x42, 0x21, 0xf6, 0xf7, 0xf6, 0xff, 0xf6, 0, 8, 16, 24, 32, 0xff, 0xff, 0, 0, 0, 6, 14, 22})
	f.Fuzz(func(t *testing.T, input []byte) {
		if len(input) < 2 {
			return
		}
		w := &fuzzed{t: t}
		w.cfg = Config{
			MaxInFlight: 1 + int(input[0]&31), MaxWait: 20, Memory: Off, CPU: 0.8,
			RaiseAfter: ms, ClearAfter: 2 * ms, StaleAfter: 500 * ms, Smoothing: Off,
		}
		switch input[0] >> 5 & 3 {
		case 0:
			w.cfg.MaxQueue, w.cfg.MaxWait = NoQueue, 0
		case 1:
			w.cfg.MaxQueue = 3
		case 2:
			w.cfg.MaxQueue, w.cfg.QueueDelay = 5, CoDel(3, 10)
		case 3:
			w.cfg.MaxQueue, w.cfg.QueueDelay = 5, PIE(3)
		}
		w.cfg.Fair = input[1]&1 != 0
		if input[1]&2 != 0 {
			w.cfg.Throttle = 1.5
		}
		if input[1]&4 != 0 {
			w.cfg.Floor = Off
		}
		w.host = newHost(t, w.cfg)
		w.limit = w.cfg.MaxInFlight
		for _, b := range input[2:] {
			w.step(b&7, int(b>>3))
			w.check()
		}
		w.rest()
	})
}

type fuzzed struct {
	*host
	t                                                       *testing.T
	cfg                                                     Config
	asked, granted, rejected, cancelled, ended, lent, label int
	limit                                                   int // the most there ever was
	forced                                                  bool
}

func (w *fuzzed) step(op byte, arg int) {
	switch op {
	case 0, 1:
		w.label++
		w.asked++
		r := patterns.Request{Weight: arg & 3, Priority: patterns.Background + patterns.Priority(arg%levels), NoWait: arg&16 != 0}
		if arg&8 != 0 {
			r.Key = string(rune('a' + arg&3))
		}
		if arg&12 == 12 {
			r.Deadline = w.Now + patterns.Instant(arg)
		}
		if got, err := w.Acquire(w.label, r); got == machinetest.Rejected {
			if !isHeavy(err) && causeOf(err) == CauseNone {
				w.t.Fatalf("rejected for no cause: %v", err)
			}
			w.rejected++
		}
	case 2, 3:
		if out := w.Labels(); len(out) > 0 {
			w.End(out[arg%len(out)], patterns.Outcome(arg&3))
			w.ended++
		}
	case 4:
		if len(w.Queue) > 0 {
			w.Cancel(w.Queue[arg%len(w.Queue)].Label)
			w.cancelled++
		}
	case 5:
		w.operate(arg)
	case 6:
		observe(w.host, read(CPU, float64(arg)/31))
	case 7:
		w.Pass(time.Duration(arg*arg) * 10 * time.Microsecond)
		w.Now -= patterns.Instant(arg & 3)
	}
}

func (w *fuzzed) operate(arg int) {
	switch arg & 7 {
	case 0, 1, 2, 3:
		op := patterns.Operation{Kind: patterns.OperationKind(arg & 3), For: time.Duration(arg>>3) * 50}
		w.forced = true
		w.Operator(func(now patterns.Instant) {
			if err := w.M.Operate(now, op); err != nil {
				w.t.Fatal(err)
			}
		})
	case 4:
		w.Operator(func(now patterns.Instant) {
			n := w.M.Lease(now, arg)
			if w.M.inFlight > w.M.limit && n > 0 {
				w.t.Fatalf("lent %d above the limit", n)
			}
			w.lent += n
		})
	case 5:
		back := min(arg, w.lent)
		w.lent -= back
		w.Operator(func(now patterns.Instant) {
			w.M.SettleLease(now, 1, patterns.Tally{Success: back / 2, Unused: back - back/2})
		})
	case 6:
		c := w.M.cfg
		c.MaxInFlight = 1 + arg
		w.limit = max(w.limit, c.MaxInFlight)
		w.Operator(func(now patterns.Instant) { w.M.Reconfigure(now, c) })
	case 7:
		w.Operator(func(now patterns.Instant) { w.M.Repair(now) })
	}
}

func (w *fuzzed) check() {
	w.granted += len(w.Taken())
	w.rejected += len(w.Refused)
	for _, r := range w.Refused {
		if !isHeavy(r.Err) && causeOf(r.Err) == CauseNone {
			w.t.Fatalf("rejected for no cause: %v", r.Err)
		}
	}
	w.Refused = nil
	if w.asked != w.granted+w.rejected+w.cancelled+len(w.Queue) || w.granted != w.ended+len(w.Out) {
		w.t.Fatalf("asked %d, granted %d, rejected %d, cancelled %d, waiting %d", w.asked, w.granted, w.rejected, w.cancelled, len(w.Queue))
	}
	if !w.forced && w.M.inFlight > w.limit {
		w.t.Fatalf("%d in flight of %d", w.M.inFlight, w.limit)
	}
	if w.M.inFlight < len(w.Out)+w.lent {
		w.t.Fatalf("%d in flight, but %d permits and %d lent ones are out", w.M.inFlight, len(w.Out), w.lent)
	}
}

// rest leaves it alone, with its permits given back: it admits again, and nobody waits.
func (w *fuzzed) rest() {
	w.Operator(func(now patterns.Instant) {
		w.M.SettleLease(now, 1, patterns.Tally{Unused: w.lent})
		if err := w.M.Operate(now, patterns.Operation{Kind: patterns.Reset}); err != nil {
			w.t.Fatal(err)
		}
	})
	for len(w.Out) > 0 {
		w.End(w.Labels()[0], patterns.Success)
	}
	w.Now += 3
	w.Pass(3 * time.Minute)
	if len(w.Queue) > 0 || w.M.strain.on || w.M.control.cutting || w.M.inFlight != 0 || w.M.Wake() != patterns.Never ||
		w.M.Timeless() == (w.cfg.Fair || w.M.throttled()) {
		w.t.Fatalf("wedged: %d wait, %+v", len(w.Queue), w.M)
	}
	for p := patterns.Background; p <= patterns.Critical; p++ {
		w.label++
		if got, err := w.Acquire(w.label, patterns.Request{Priority: p}); got != machinetest.Granted {
			w.t.Fatalf("%s: %v", got, err)
		}
		w.End(w.label, patterns.Success)
	}
}
