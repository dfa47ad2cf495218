package actors

import (
	"context"
	"math/rand/v2"
	"time"

	"github.com/bulwark-go/bulwark/patterns"
)

// Spend uses up weight permits of a key at once, or none. It is AcquireFor with Spend and
// NoWait set, for those who ask so often that every nanosecond counts: nothing is
// measured, and nothing but the guard is asked.
func (h *Handle) Spend(key string, weight int) error {
	s := h.shell
	if g := s.gate.Load(); g.refusal != nil && patterns.Instant(time.Since(s.origin)) < g.until {
		s.countRefusal(rand.Uint32())
		return h.terms.Rejected(g.refusal)
	}
	if s.lessor != nil && s.spends && key == "" && weight == 1 {
		return h.spendOfCell()
	}
	if !s.refers() && s.mailbox.TryEnter() {
		s.scratch = patterns.Request{Key: key, Weight: weight, NoWait: true, Spend: true}
		if id, err := h.spot(&s.scratch, nil, 0); err != nil || id != 0 {
			return h.terms.Rejected(err)
		}
	}
	_, err := h.queue(context.Background(), &patterns.Request{Key: key, Weight: weight, NoWait: true, Spend: true}, nil, 0)
	return err
}

// spendOfCell is Spend for a permit of a lease.
func (h *Handle) spendOfCell() error {
	s := h.shell
	c := s.cells.hint.Get().(*cell)
	ok := c.use()
	s.cells.hint.Put(c)
	if ok {
		return nil
	}
	_, err := h.spendLeased(context.Background(), &patterns.Request{NoWait: true, Spend: true})
	return err
}
