package bulkhead

import (
	"testing"
	"time"

	"github.com/bulwark-go/bulwark/patterns"
	"github.com/bulwark-go/bulwark/patterns/internal/machinetest"
)

func FuzzMachine(f *testing.F) {
	f.Add([]byte("\x00aaaaabbbbbbbbt9a!b"))
	f.Add([]byte{0x25, 0, 0, 0, 0, 0, 1, 1, 1, 8, 16, 3, 2, 1, 4, 5})
	f.Add([]byte{0x18, 0, 64, 128, 0, 72, 2, 2, 7, 3})
	f.Add([]byte{0xc1, 128, 128, 128, 136, 129, 2, 2, 14, 0, 62, 128, 54, 22, 4, 7})
	f.Fuzz(fuzzOne)
}

func fuzzOne(t *testing.T, input []byte) {
	if len(input) == 0 {
		return
	}
	b := input[0]
	cfg := Config{MaxConcurrent: 1 + int(b&31)}
	if b&32 != 0 {
		cfg.Mode = patterns.Leased(0, 0)
	}
	if b&64 != 0 {
		cfg.MaxWaiting, cfg.MaxWait = 3, 20
	}
	if b&128 != 0 {
		cfg.MaxPartitions = 2
	}
	w := &fuzzed{host: newHost(t, cfg), t: t, limit: cfg.MaxConcurrent, partitions: cfg.MaxPartitions}
	for _, b := range input[1:] {
		w.step(b&7, int(b>>3))
		w.check()
	}
	// Left alone, with its permits given back, it admits again, and nobody waits.
	w.Operator(func(now patterns.Instant) { w.M.SettleLease(now, 1, patterns.Tally{Unused: w.lent}) })
	for len(w.Out) > 0 {
		w.End(w.Labels()[0], patterns.Success)
	}
	w.Pass(time.Second)
	if len(w.Queue) > 0 || w.M.saturated > 0 || w.M.taken() != 0 || w.M.used != 0 || w.M.Wake() != patterns.Never || !w.M.Timeless() {
		t.Fatalf("wedged: %d wait, %+v", len(w.Queue), w.M)
	}
	if got, err := w.Acquire(w.label+1, patterns.Request{}); got != machinetest.Granted {
		t.Fatalf("%s: %v", got, err)
	}
}

type fuzzed struct {
	*host
	t                                                       *testing.T
	asked, granted, rejected, cancelled, ended, lent, label int
	limit, partitions                                       int // the most there ever were
}

func (w *fuzzed) step(op byte, arg int) {
	switch op {
	case 0, 1:
		w.label++
		w.asked++
		r := patterns.Request{Weight: arg & 3, NoWait: arg&7 == 7}
		if arg&16 != 0 {
			r.Key = string(rune('a' + arg&3))
		}
		if arg&8 != 0 {
			r.Priority = patterns.High
		}
		ask := w.Acquire
		if op == 1 && arg == 21 {
			ask = w.Stand
		}
		if got, _ := ask(w.label, r); got == machinetest.Rejected {
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
		w.Operator(func(now patterns.Instant) {
			n := w.M.Lease(now, arg)
			if w.M.main.taken > w.M.limit && n > 0 {
				w.t.Fatalf("lent %d above the limit", n)
			}
			w.lent += n
		})
	case 6:
		w.operate(arg)
	case 7:
		w.Pass(time.Duration(arg))
		w.Now -= patterns.Instant(arg & 3)
	}
}

func (w *fuzzed) operate(arg int) {
	c := w.M.cfg
	switch arg & 3 {
	case 0:
		c.MaxConcurrent = 1 + arg
	case 1:
		if c.MaxWaiting = arg & 4; c.MaxWaiting == 0 {
			c.MaxWait = 0
		}
	case 2:
		c.MaxPartitions = arg >> 3
	default:
		back := min(arg, w.lent)
		w.lent -= back
		w.Operator(func(now patterns.Instant) {
			w.M.SettleLease(now, 1, patterns.Tally{Success: back / 2, Unused: back - back/2})
		})
		return
	}
	w.limit, w.partitions = max(w.limit, c.MaxConcurrent), max(w.partitions, c.MaxPartitions)
	w.Operator(func(now patterns.Instant) { w.M.Reconfigure(now, c) })
}

func (w *fuzzed) check() {
	w.granted += len(w.Taken())
	w.rejected += len(w.Refused)
	w.Refused = nil
	if w.asked != w.granted+w.rejected+w.cancelled+len(w.Queue) || w.granted != w.ended+len(w.Out) {
		w.t.Fatalf("asked %d, granted %d, rejected %d, cancelled %d, waiting %d", w.asked, w.granted, w.rejected, w.cancelled, len(w.Queue))
	}
	for _, c := range w.M.compartments() {
		if c.taken > w.limit {
			w.t.Fatalf("%d slots taken of %d", c.taken, w.limit)
		}
	}
	if w.M.taken() < len(w.Out)+w.lent {
		w.t.Fatalf("%d slots taken, but %d permits and %d lent ones are out", w.M.taken(), len(w.Out), w.lent)
	}
	if w.M.used > w.partitions {
		w.t.Fatalf("%d partitions of %d", w.M.used, w.partitions)
	}
	if len(w.Queue) > 0 && w.M.Timeless() && w.M.cfg.MaxWaiting > 0 {
		w.t.Fatalf("%d wait, and nobody looks at the clock", len(w.Queue))
	}
}
