// Package window counts recent results: the last n of them (Ring), or those of the
// last while (Buckets). Adding one costs the same however many are held, and
// allocates nothing.
package window

// Counts is how many results are held. A slow failure is in both.
type Counts struct{ Calls, Failures, Slow uint64 }

func (c *Counts) add(d Counts) {
	c.Calls += d.Calls
	c.Failures += d.Failures
	c.Slow += d.Slow
}

func (c *Counts) sub(d Counts) {
	c.Calls -= d.Calls
	c.Failures -= d.Failures
	c.Slow -= d.Slow
}

// of returns the Counts of n results of one kind.
func of(n uint64, failed, slow bool) Counts {
	c := Counts{Calls: n}
	if failed {
		c.Failures = n
	}
	if slow {
		c.Slow = n
	}
	return c
}
