// Package throttle is the client-side throttling of Google's SRE book (chapter 21): who
// sends more than the other side accepts sends less, by as much as needed.
package throttle

import (
	"time"

	"github.com/bulwark-go/bulwark/patterns"
	"github.com/bulwark-go/bulwark/patterns/internal/window"
)

// Config is how a Throttle judges. All of it is needed.
type Config struct {
	// K is how many requests may be made for each that is accepted, 1 or more: with 2 up
	// to half of them may be turned down by the other side before any is here.
	K float64
	// Window is what is remembered, in so many Buckets.
	Window  time.Duration
	Buckets int
	// MinRequests is how many of them it takes to judge.
	MinRequests uint64
	// MaxShare bounds the share that is refused.
	MaxShare float64
}

// Throttle knows the requests of the last while. Make one with New.
type Throttle struct {
	cfg    Config
	recent window.Buckets
}

// New returns a Throttle that has seen no request.
func New(c Config) Throttle { return Throttle{cfg: c, recent: window.NewBuckets(c.Window, c.Buckets)} }

// Record counts n requests. They are accepted unless the other side turned them down, or
// they were refused here because Share said so: without those it would let go as soon as
// it takes hold.
func (t *Throttle) Record(now patterns.Instant, n int, accepted bool) {
	t.recent.Add(now, n, !accepted, false)
}

// Counts returns how many requests are remembered, and how many of them were accepted.
func (t *Throttle) Counts(now patterns.Instant) (requests, accepts uint64) {
	c := t.recent.Counts(now)
	return c.Calls, c.Calls - c.Failures
}

// Share is the share of requests to refuse: it grows as fewer are accepted, and never
// reaches 1, so that it is noticed when they are again.
func (t *Throttle) Share(now patterns.Instant) float64 {
	requests, accepts := t.Counts(now)
	if requests < t.cfg.MinRequests {
		return 0
	}
	p := (float64(requests) - t.cfg.K*float64(accepts)) / (float64(requests) + 1)
	return min(max(p, 0), t.cfg.MaxShare)
}

// Refuse decides on one request, by a number u drawn from [0, 1).
func (t *Throttle) Refuse(now patterns.Instant, u float64) bool { return u < t.Share(now) }

// Reset forgets all requests.
func (t *Throttle) Reset() { t.recent.Reset() }

// Reconfigure judges by other rules from now on, and keeps the requests that fit the window.
func (t *Throttle) Reconfigure(now patterns.Instant, c Config) {
	if c.Window != t.cfg.Window || c.Buckets != t.cfg.Buckets {
		t.recent = t.recent.Resized(now, c.Window, c.Buckets)
	}
	t.cfg = c
}

// Check returns an error if the counts do not add up.
func (t *Throttle) Check() error { return t.recent.Check() }
