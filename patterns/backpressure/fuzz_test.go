package backpressure

import (
	"testing"
	"time"

	"github.com/bulwark-go/bulwark/patterns"
	"github.com/bulwark-go/bulwark/patterns/internal/machinetest"
)

func FuzzMachine(f *testing.F) {
	f.Add([]byte("\x00aaaaabbbbbbbbt9a!b"))
	f.Add([]byte{7, 0, 0, 0, 0, 0, 1, 1, 1, 8, 16, 3, 2, 1, 4, 5})
	f.Fuzz(func(t *testing.T, input []byte) {
		if len(input) == 0 {
			return
		}
		b := input[0]
		cfg := Config{MaxPending: 4 + int(b&7), HighWater: 4, LowWater: 1 + int(b>>3&1), MaxWaiting: 3}
		if b&16 != 0 {
			cfg.MaxWaiting = NoQueue
		}
		if b&32 != 0 {
			cfg.Mode = patterns.Leased(0, 0)
		}
		h := newHost(t, cfg)
		asked, granted, rejected, cancelled, ended, lent, label, most := 0, 0, 0, 0, 0, 0, 0, cfg.MaxPending
		for _, b := range input[1:] {
			arg := int(b >> 3)
			switch b & 7 {
			case 0, 1:
				label++
				asked++
				r, ask := patterns.Request{Weight: arg & 3, NoWait: arg&7 == 7}, h.Acquire
				if arg&8 != 0 {
					r.Priority = patterns.High
				}
				if arg == 21 {
					ask = h.Stand
				}
				if got, _ := ask(label, r); got == machinetest.Rejected {
					rejected++
				}
			case 2, 3:
				if out := h.Labels(); len(out) > 0 {
					h.End(out[arg%len(out)], patterns.Outcome(arg&3))
					ended++
				}
			case 4:
				if len(h.Queue) > 0 {
					h.Cancel(h.Queue[arg%len(h.Queue)].Label)
					cancelled++
				}
			case 5:
				h.Operator(func(now patterns.Instant) { lent += h.M.Lease(now, arg) })
			case 6:
				if arg&24 == 24 {
					c := h.M.cfg
					c.MaxPending, c.HighWater, c.LowWater, c.MaxWaiting = 8, 4+arg&3, 2, 3
					most = max(most, 8)
					h.Operator(func(now patterns.Instant) { h.M.Reconfigure(now, c) })
					break
				}
				back := min(arg, lent)
				lent -= back
				h.Operator(func(now patterns.Instant) {
					h.M.SettleLease(now, 1, patterns.Tally{Success: back / 2, Unused: back - back/2})
				})
			case 7:
				h.Now = h.Now.Add(time.Duration(8 - arg))
			}
			granted += len(h.Taken())
			if asked != granted+rejected+cancelled+len(h.Queue) || granted != ended+len(h.Out) {
				t.Fatalf("asked %d, granted %d, rejected %d, cancelled %d, waiting %d", asked, granted, rejected, cancelled, len(h.Queue))
			}
			if h.M.pending > most {
				t.Fatalf("%d pending of %d", h.M.pending, most)
			}
			if len(h.Queue) > 0 && h.M.Timeless() {
				t.Fatalf("%d wait, and nobody looks at the clock", len(h.Queue))
			}
			if h.M.pending < len(h.Out)+lent {
				t.Fatalf("%d pending, but %d permits and %d lent ones are out", h.M.pending, len(h.Out), lent)
			}
		}
		// Left alone, with its permits given back, it admits again, and nobody waits.
		h.Operator(func(now patterns.Instant) { h.M.SettleLease(now, 1, patterns.Tally{Unused: lent}) })
		for len(h.Out) > 0 {
			h.End(h.Labels()[0], patterns.Success)
		}
		if len(h.Queue) > 0 || h.M.hot || h.M.pending != 0 {
			t.Fatalf("wedged: %d wait, %+v", len(h.Queue), h.M)
		}
		if got, err := h.Acquire(label+1, patterns.Request{}); got != machinetest.Granted {
			t.Fatalf("%s: %v", got, err)
		}
	})
}
