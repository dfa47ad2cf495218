package patterns

// Counts are the totals that every guard keeps since it was spawned; restarts do
// not clear them. At every moment
//
//	Asked   = Granted + Rejected + Cancelled + Waiting
//	Granted = Reported + Reclaimed + InFlight
type Counts struct {
	Asked    uint64 // requests received
	Granted  uint64 // permits handed out
	Success  uint64 // of Reported
	Failure  uint64 // of Reported
	Dropped  uint64 // of Reported
	Ignored  uint64 // of Reported
	Reported uint64 // permits that ended with an outcome

	Rejected  uint64 // requests refused
	Cancelled uint64 // requests whose caller left before an answer
	Waiting   uint64 // requests queued now
	Reclaimed uint64 // permits that ended without an outcome: released, holder gone, deadline passed
	InFlight  uint64 // permits out now

	Stale    uint64 // of Reported: too late to count, the guard had moved on
	Repeated uint64 // reports of permits that had ended, or never were
	Unknown  uint64 // messages that no guard understands
	Restarts uint64 // times the guard's actor was restarted
}

// Balanced reports whether the two equations above hold, without a number below zero.
func (c Counts) Balanced() bool {
	return c.Waiting <= c.Asked && c.InFlight <= c.Granted &&
		c.Asked == c.Granted+c.Rejected+c.Cancelled+c.Waiting &&
		c.Granted == c.Reported+c.Reclaimed+c.InFlight &&
		c.Reported == c.Success+c.Failure+c.Dropped+c.Ignored
}

// Plus returns the sums of both, as of two parts of one guard.
func (c Counts) Plus(d Counts) Counts {
	c.Asked += d.Asked
	c.Granted += d.Granted
	c.Success += d.Success
	c.Failure += d.Failure
	c.Dropped += d.Dropped
	c.Ignored += d.Ignored
	c.Reported += d.Reported
	c.Rejected += d.Rejected
	c.Cancelled += d.Cancelled
	c.Waiting += d.Waiting
	c.Reclaimed += d.Reclaimed
	c.InFlight += d.InFlight
	c.Stale += d.Stale
	c.Repeated += d.Repeated
	c.Unknown += d.Unknown
	c.Restarts += d.Restarts
	return c
}
