package retrybudget

import (
	"time"

	"github.com/bulwark-go/bulwark/patterns"
	"github.com/bulwark-go/bulwark/patterns/internal/ratio"
	"github.com/bulwark-go/bulwark/patterns/internal/window"
)

// slots is how many parts what is remembered has.
const slots = 10

// WindowConfig is what a Window grants. All of it is needed, and is what its users validated.
type WindowConfig struct {
	// Share of the first attempts of the last TTL, from 0 to 1, and as its decimal says.
	Share float64
	// PerSecond is how many extra attempts there may be besides, on the average of a TTL:
	// those who call rarely could never retry without.
	PerSecond int
	// TTL is how long a first attempt counts; a second or more. It is remembered in ten
	// slots, the current one included: for more than nine tenths of TTL.
	TTL time.Duration
}

// Window grants as many extra attempts as Share of the first ones of the last while, and
// PerSecond more (Finagle's RetryBudget). Make one with NewWindow.
type Window struct {
	share   ratio.Ratio
	reserve uint64 // in each TTL
	ttl     time.Duration
	recent  window.Buckets // a failure is an extra attempt, the others are the first ones
	counts  Counts
}

// NewWindow returns a Window that has seen no attempt.
func NewWindow(c WindowConfig) Window {
	w := Window{recent: window.NewBuckets(c.TTL, slots)}
	w.configure(c)
	return w
}

func (w *Window) configure(c WindowConfig) {
	w.share, w.ttl = ratio.New(c.Share), c.TTL
	second := float64(max(c.PerSecond, 0)) * c.TTL.Seconds()
	w.reserve = uint64(min(second, 1<<53))
}

// most bounds what is deposited at once, so that nothing overflows.
const most = 1 << 40

// Deposit counts n first attempts, at now or since the last Deposit.
func (w *Window) Deposit(now patterns.Instant, n int) {
	n = min(max(n, 0), most)
	w.recent.Add(now, n, false, false)
	w.counts.Requests += uint64(n)
}

// Take asks for an extra attempt. If it is granted it is spent, whether it is made or not.
func (w *Window) Take(now patterns.Instant) bool {
	if w.Left(now) < 1 {
		w.counts.Suppressed++
		return false
	}
	w.recent.Add(now, 1, true, false)
	w.counts.Extras++
	return true
}

// Left is how many extra attempts would be granted at now. It is negative while those made
// outlive the first attempts that they were granted for.
func (w *Window) Left(now patterns.Instant) int64 {
	c := w.recent.Counts(now)
	return int64(w.reserve+w.share.Part(c.Calls-c.Failures)) - int64(c.Failures)
}

// Counts returns what there was since the Window was made.
func (w *Window) Counts() Counts { return w.counts }

// Reconfigure grants by other rules from now on, and keeps the attempts that it remembers.
func (w *Window) Reconfigure(now patterns.Instant, c WindowConfig) {
	if c.TTL != w.ttl {
		w.recent = w.recent.Resized(now, c.TTL, slots)
	}
	w.configure(c)
}

// Check returns an error if the counts do not add up.
func (w *Window) Check() error { return w.recent.Check() }
