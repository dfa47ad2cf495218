package adaptive

import (
	"errors"
	"testing"
	"time"

	"github.com/bulwark-go/bulwark/patterns"
)

const ms = time.Millisecond

// host numbers permits as the shell does: a slot that is used again, and a generation.
type host struct {
	t    testing.TB
	m    *Machine
	now  patterns.Instant
	gens []uint32
	free []int
	out  []patterns.PermitID // in the order of grants
}

func newHost(t testing.TB, c Config) *host {
	return &host{t: t, m: NewMachine(Params{Name: "m", Config: c, Seed: 1})}
}

func (h *host) next() (id uint64, slot int) {
	if n := len(h.free); n > 0 {
		slot = h.free[n-1]
	} else {
		slot = len(h.gens)
		h.gens = append(h.gens, 0)
		h.free = append(h.free, slot)
	}
	return uint64(h.gens[slot]+1)<<32 | uint64(slot+1), slot
}

func (h *host) acquire(r patterns.Request) patterns.Decision {
	id, slot := h.next()
	d := h.m.Acquire(h.now, id, &r)
	if d.Verdict == patterns.Grant {
		h.free = h.free[:len(h.free)-1]
		h.gens[slot]++
		h.out = append(h.out, patterns.PermitID{Epoch: d.Epoch, ID: id})
	}
	return d
}

// take acquires n permits of a priority, and returns how many were granted.
func (h *host) take(n int, r patterns.Request) (granted int) {
	for range n {
		if h.acquire(r).Verdict == patterns.Grant {
			granted++
		}
	}
	return granted
}

func (h *host) remove(i int) patterns.PermitID {
	p := h.out[i]
	h.out = append(h.out[:i], h.out[i+1:]...)
	h.free = append(h.free, int(uint32(p.ID))-1)
	return p
}

func (h *host) report(i int, o patterns.Outcome, elapsed time.Duration) bool {
	counted, _ := h.m.Report(h.now, h.remove(i), o, elapsed)
	return counted
}

func (h *host) release(i int) { h.m.Release(h.now, h.remove(i)) }

func (h *host) sound() {
	h.t.Helper()
	if err := h.m.Check(); err != nil {
		h.t.Fatal(err)
	}
}

func (h *host) events() (all []patterns.Event) {
	for e := range h.m.Drain() {
		all = append(all, e)
	}
	return all
}

func cause(d patterns.Decision) Cause {
	if e, ok := errors.AsType[*LimitError](d.Err); ok {
		return e.Cause
	}
	return CauseNone
}
