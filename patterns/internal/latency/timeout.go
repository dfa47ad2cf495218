package latency

import (
	"math"
	"time"

	"github.com/bulwark-go/bulwark/patterns"
	"github.com/bulwark-go/bulwark/patterns/internal/window"
)

// TimeoutConfig is how a Timeout decides. All of it is needed, and is what its users
// validated.
type TimeoutConfig struct {
	// Quantile of the latency that is expected, above 0 and below 1, and Factor, 1 or more,
	// is how many times that is waited for.
	Quantile, Factor float64
	// Min and Max bound the timeout, and Initial is what it is until there are MinSamples.
	Min, Max, Initial time.Duration
	// Window is what is remembered: for more than half of it, and at most for all.
	Window     time.Duration
	MinSamples int
}

// Timeout is the time after which calls are given up, by how long they took lately. Make
// one with NewTimeout.
//
// Where more than twice as many calls are given up as Quantile says, it doubles: at once,
// and again once it is found that this was not enough. It has doubled until all that it
// remembers came after that.
type Timeout struct {
	cfg     TimeoutConfig
	latency estimate
	recent  window.Buckets   // calls, of which those given up count as failed
	doubled int              // how often
	until   patterns.Instant // when it no longer is
	settled patterns.Instant // when the last call is given up that began before it doubled
}

// buckets is how many parts those of recent calls have.
const buckets = 4

// NewTimeout returns a Timeout that has seen no call.
func NewTimeout(c TimeoutConfig) Timeout {
	return Timeout{
		cfg: c, latency: newEstimate(c.Window, c.Quantile, c.MinSamples), recent: window.NewBuckets(c.Window, buckets),
		settled: math.MinInt64,
	}
}

// Succeeded counts a call that was answered after elapsed. Those that failed otherwise, or
// whose caller left, say nothing about latency, and are not counted.
func (t *Timeout) Succeeded(now patterns.Instant, elapsed time.Duration) {
	t.latency.recent.Add(now, elapsed)
	t.recent.Add(now, 1, false, false)
}

// Expired counts a call that was given up after the time that it had.
func (t *Timeout) Expired(now patterns.Instant, after time.Duration) {
	t.latency.censored(now, after)
	if now <= t.settled {
		return // it has shown already that the timeout was too short
	}
	t.recent.Add(now, 1, true, false)
	c := t.recent.Counts(now)
	if c.Calls < t.latency.least || float64(c.Failures) <= 2*(1-t.cfg.Quantile)*float64(c.Calls) {
		return
	}
	before := t.Value(now)
	if before >= t.cfg.Max {
		return
	}
	t.doubled++
	t.until, t.settled = now.Add(t.cfg.Window), now.Add(before)
	t.recent.Reset()
}

// Value returns the timeout for a call that begins at now.
func (t *Timeout) Value(now patterns.Instant) time.Duration {
	if t.doubled > 0 && now >= t.until {
		t.doubled = 0
	}
	d, ok := t.latency.value(now)
	if d = times(d, t.cfg.Factor); !ok {
		d = t.cfg.Initial
	}
	d = max(d, t.cfg.Min, 1) // 0 would never double
	return min(times(d, math.Exp2(float64(t.doubled))), t.cfg.Max)
}

// Reconfigure decides by other rules from now on, and keeps what it has learned.
func (t *Timeout) Reconfigure(now patterns.Instant, c TimeoutConfig) {
	t.latency = t.latency.reconfigured(now, c.Window, c.Quantile, c.MinSamples)
	if c.Window != t.cfg.Window {
		t.recent = t.recent.Resized(now, c.Window, buckets)
	}
	t.cfg = c
}

// Reset forgets all calls.
func (t *Timeout) Reset() { *t = NewTimeout(t.cfg) }

// Check returns an error if the counts do not add up.
func (t *Timeout) Check() error {
	if err := t.latency.recent.Check(); err != nil {
		return err
	}
	return t.recent.Check()
}
