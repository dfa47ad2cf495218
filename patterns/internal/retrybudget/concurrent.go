package retrybudget

import (
	"fmt"

	"github.com/bulwark-go/bulwark/patterns/internal/ratio"
)

// Concurrent grants an extra attempt while not more of them run than a share of all
// attempts that run (Envoy's retry budget). Make one with NewConcurrent.
type Concurrent struct {
	share  ratio.Ratio
	least  uint64
	first  uint64 // that run
	extra  uint64 // that run
	counts Counts
}

// NewConcurrent returns a Concurrent by which nothing runs. share is from 0 to 1, and as its
// decimal says; least is how many extra attempts may always run. The one that reaches the
// share is still granted, so that even with nothing else there may be one.
func NewConcurrent(share float64, least int) Concurrent {
	var c Concurrent
	c.Reconfigure(share, least)
	return c
}

// Begin counts n first attempts that begin to run.
func (c *Concurrent) Begin(n int) {
	c.first += uint64(max(n, 0))
	c.counts.Requests += uint64(max(n, 0))
}

// End counts n first attempts that ended. It panics if fewer ran.
func (c *Concurrent) End(n int) {
	if uint64(max(n, 0)) > c.first {
		panic(fmt.Sprintf("retrybudget: %d first attempts ended, and %d ran", n, c.first))
	}
	c.first -= uint64(max(n, 0))
}

// Take asks for an extra attempt. If it is granted it runs until Give.
func (c *Concurrent) Take() bool {
	if c.extra >= c.least && c.extra > c.share.Part(c.first+c.extra) {
		c.counts.Suppressed++
		return false
	}
	c.extra++
	c.counts.Extras++
	return true
}

// Give counts an extra attempt that ended, or was not made. It panics if none ran.
func (c *Concurrent) Give() {
	if c.extra == 0 {
		panic("retrybudget: an extra attempt ended, and none ran")
	}
	c.extra--
}

// Running is how many attempts run, and how many of them are extra ones.
func (c *Concurrent) Running() (all, extra uint64) { return c.first + c.extra, c.extra }

// Counts returns what there was since the Concurrent was made.
func (c *Concurrent) Counts() Counts { return c.counts }

// Reconfigure grants by other rules from now on. What runs goes on.
func (c *Concurrent) Reconfigure(share float64, least int) {
	c.share, c.least = ratio.New(share), uint64(max(least, 0))
}

// Check returns an error if the counts do not add up.
func (c *Concurrent) Check() error {
	if c.first > c.counts.Requests || c.extra > c.counts.Extras {
		return fmt.Errorf("retrybudget: %d and %d run of %+v", c.first, c.extra, c.counts)
	}
	return nil
}
