package bulkhead

import (
	"testing"
	"time"

	"github.com/bulwark-go/bulwark/patterns"
)

func FuzzMachine(f *testing.F) {
	f.Add([]byte("\x00aaaaabbbbbbbbt9a!b"))
	f.Add([]byte{0x25, 0, 0, 0, 0, 0, 1, 1, 1, 8, 16, 3, 2, 1, 4, 5})
	f.Add([]byte{0x18, 0, 64, 128, 0, 72, 2, 2, 7, 3})
	f.Fuzz(func(t *testing.T, input []byte) {
		if len(input) == 0 {
			return
		}
		b := input[0]
		cfg := Config{MaxConcurrent: 1 + int(b&31)}
		switch b >> 6 {
		case 0:
			cfg.MaxPartitions = 2
		case 1:
			cfg.MaxWaiting = 3
		case 2:
			cfg.MaxWaiting, cfg.MaxWait = 3, 20
		}
		h := newHost(t, cfg)
		asked, granted, rejected, cancelled, ended, lent, label := 0, 0, 0, 0, 0, 0, 0
		limit := cfg.MaxConcurrent
		for _, b := range input[1:] {
			arg := int(b >> 3)
			switch b & 7 {
			case 0, 1:
				label++
				asked++
				r := patterns.Request{Weight: arg & 3}
				if arg&16 != 0 {
					r.Key = string(rune('a' + arg&3))
				}
				if got, _ := h.acquire(label, r); got == "rejected" {
					rejected++
				}
			case 2, 3:
				if out := sorted(h.out); len(out) > 0 {
					h.release(out[arg%len(out)], patterns.Outcome(arg&3))
					ended++
				}
			case 4:
				if len(h.queue) > 0 {
					h.cancel(h.queue[arg%len(h.queue)].label)
					cancelled++
				}
			case 5:
				h.operator(func(now patterns.Instant) {
					n := h.m.Lease(now, arg)
					if h.m.main.taken > h.m.limit && n > 0 {
						t.Fatalf("lent %d above the limit", n)
					}
					lent += n
				})
			case 6:
				if arg&1 == 0 {
					c := h.m.cfg
					c.MaxConcurrent = 1 + arg
					limit = max(limit, c.MaxConcurrent)
					h.operator(func(now patterns.Instant) { h.m.Reconfigure(now, c) })
					break
				}
				back := min(arg, lent)
				lent -= back
				h.operator(func(now patterns.Instant) {
					h.m.SettleLease(now, 1, patterns.Tally{Success: back / 2, Unused: back - back/2})
				})
			case 7:
				h.pass(time.Duration(arg))
				h.now -= patterns.Instant(arg & 3)
			}
			granted += len(h.taken())
			rejected += len(h.refused)
			h.refused = nil
			if asked != granted+rejected+cancelled+len(h.queue) || granted != ended+len(h.out) {
				t.Fatalf("asked %d, granted %d, rejected %d, cancelled %d, waiting %d", asked, granted, rejected, cancelled, len(h.queue))
			}
			for _, c := range h.m.compartments() {
				if c.taken > limit {
					t.Fatalf("%d slots taken of %d", c.taken, limit)
				}
			}
			if h.m.taken < len(h.out)+lent {
				t.Fatalf("%d slots taken, but %d permits and %d lent ones are out", h.m.taken, len(h.out), lent)
			}
			if len(h.m.partitions) > cfg.MaxPartitions {
				t.Fatalf("%d partitions", len(h.m.partitions))
			}
		}
		// Left alone, with its permits given back, it admits again, and nobody waits.
		h.operator(func(now patterns.Instant) { h.m.SettleLease(now, 1, patterns.Tally{Unused: lent}) })
		for len(h.out) > 0 {
			h.release(sorted(h.out)[0], patterns.Success)
		}
		h.pass(time.Second)
		if len(h.queue) > 0 || h.m.saturated > 0 || h.m.taken != 0 || h.m.Wake() != patterns.Never {
			t.Fatalf("wedged: %d wait, %+v", len(h.queue), h.m)
		}
		if got, err := h.acquire(label+1, patterns.Request{}); got != "granted" {
			t.Fatalf("%s: %v", got, err)
		}
	})
}
