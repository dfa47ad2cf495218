package latency

import (
	"time"

	"github.com/bulwark-go/bulwark/patterns"
)

// HedgeConfig is how a Hedge decides. All of it is needed, and is what its users validated.
type HedgeConfig struct {
	// Quantile of the latency of first attempts that is waited for, above 0 and below 1: the
	// rest of them, 0.05 of all with 0.95, get another attempt beside them.
	Quantile float64
	// Min and Max bound the delay, and Initial is what it is until there are MinSamples.
	Min, Max, Initial time.Duration
	// Window is what is remembered: for more than half of it, and at most for all.
	Window     time.Duration
	MinSamples int
}

// Hedge is the delay after which another attempt is made beside one that has not ended, by
// how long first attempts took lately. Make one with NewHedge.
//
// Tell it about first attempts only, each from its own beginning: of the others those that
// win are the fast ones, and if they counted, the delay would shrink.
type Hedge struct {
	cfg     HedgeConfig
	latency estimate
}

// NewHedge returns a Hedge that has seen no attempt.
func NewHedge(c HedgeConfig) Hedge {
	return Hedge{cfg: c, latency: newEstimate(c.Window, c.Quantile, c.MinSamples)}
}

// Succeeded counts a first attempt that was answered after elapsed.
func (h *Hedge) Succeeded(now patterns.Instant, elapsed time.Duration) {
	h.latency.recent.Add(now, elapsed)
}

// Outrun counts a first attempt that was given up after elapsed, since another was faster
// or there was no more time.
func (h *Hedge) Outrun(now patterns.Instant, elapsed time.Duration) { h.latency.censored(now, elapsed) }

// Delay returns how long to wait, for a call that begins at now.
func (h *Hedge) Delay(now patterns.Instant) time.Duration {
	d, ok := h.latency.value(now)
	if !ok {
		d = h.cfg.Initial
	}
	return min(max(d, h.cfg.Min), h.cfg.Max)
}

// Reconfigure decides by other rules from now on, and keeps what it has learned.
func (h *Hedge) Reconfigure(now patterns.Instant, c HedgeConfig) {
	h.latency = h.latency.reconfigured(now, c.Window, c.Quantile, c.MinSamples)
	h.cfg = c
}

// Reset forgets all attempts.
func (h *Hedge) Reset() { *h = NewHedge(h.cfg) }

// Check returns an error if the counts do not add up.
func (h *Hedge) Check() error { return h.latency.recent.Check() }
