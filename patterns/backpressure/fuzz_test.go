package backpressure

import (
	"testing"
	"time"

	"github.com/bulwark-go/bulwark/patterns"
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
		h := newHost(t, cfg)
		asked, granted, rejected, cancelled, ended, lent, label := 0, 0, 0, 0, 0, 0, 0
		for _, b := range input[1:] {
			arg := int(b >> 3)
			switch b & 7 {
			case 0, 1:
				label++
				asked++
				if got, _ := h.acquire(label, patterns.Request{Weight: arg & 3}); got == "rejected" {
					rejected++
				}
			case 2, 3:
				if out := labels(h.out); len(out) > 0 {
					h.release(out[arg%len(out)], patterns.Outcome(arg&3))
					ended++
				}
			case 4:
				if len(h.queue) > 0 {
					h.cancel(h.queue[arg%len(h.queue)].label)
					cancelled++
				}
			case 5:
				h.operator(func(now patterns.Instant) { lent += h.m.Lease(now, arg) })
			case 6:
				back := min(arg, lent)
				lent -= back
				h.operator(func(now patterns.Instant) {
					h.m.SettleLease(now, 1, patterns.Tally{Success: back / 2, Unused: back - back/2})
				})
			case 7:
				h.now = h.now.Add(time.Duration(8 - arg))
			}
			granted += len(h.taken())
			if asked != granted+rejected+cancelled+len(h.queue) || granted != ended+len(h.out) {
				t.Fatalf("asked %d, granted %d, rejected %d, cancelled %d, waiting %d", asked, granted, rejected, cancelled, len(h.queue))
			}
			if h.m.pending > cfg.MaxPending {
				t.Fatalf("%d pending of %d", h.m.pending, cfg.MaxPending)
			}
			if h.m.pending < len(h.out)+lent {
				t.Fatalf("%d pending, but %d permits and %d lent ones are out", h.m.pending, len(h.out), lent)
			}
		}
		// Left alone, with its permits given back, it admits again, and nobody waits.
		h.operator(func(now patterns.Instant) { h.m.SettleLease(now, 1, patterns.Tally{Unused: lent}) })
		for len(h.out) > 0 {
			h.release(labels(h.out)[0], patterns.Success)
		}
		if len(h.queue) > 0 || h.m.hot || h.m.pending != 0 {
			t.Fatalf("wedged: %d wait, %+v", len(h.queue), h.m)
		}
		if got, err := h.acquire(label+1, patterns.Request{}); got != "granted" {
			t.Fatalf("%s: %v", got, err)
		}
	})
}
