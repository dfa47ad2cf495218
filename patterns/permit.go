package patterns

import "time"

// PermitID names one permit for ever: a number unique within the guard, and the
// epoch of the guard's state it was granted in. The number alone identifies it. It is
// a plain value, so it can travel in a message.
type PermitID struct {
	Epoch uint64
	ID    uint64
}

// Request is what a caller asks a guard for. The zero value asks for one permit
// of normal priority.
type Request struct {
	// Key selects the tenant, user or partition in guards that keep several.
	Key string
	// Weight is how many permits' worth of work this is. 0 means 1.
	Weight int
	// Priority orders waiters and says who is refused first.
	Priority Priority
	// NoWait refuses the request where it would have to wait.
	NoWait bool
	// Spend uses the permit up as it is granted: there is none to report, and its
	// outcome counts as Success. Only guards that count uses, such as rate limiters, take
	// such requests; others refuse them with ErrInvalidRequest.
	Spend bool
	// Deadline is when the request stops waiting; Never or 0 means no limit. Callers of a
	// Handle bound their wait with a context instead, from which it is taken.
	Deadline Instant
	// Asked is since when the request waits, and 0 for a newcomer. The host sets it.
	Asked Instant
	// HoldFor bounds how long the permit may be held: one that was not reported by
	// then is taken back. 0 means no bound.
	HoldFor time.Duration
}

// Settler takes permits back. Guards implement it; users call the methods of
// Permit instead.
type Settler interface {
	// Settle ends the permit id with outcome o and reports whether it counted.
	// since is when the attempt began, or 0 where the guard did not ask for it.
	Settle(id uint64, since Instant, o Outcome) bool
	// Release ends the permit id without a verdict.
	Release(id uint64)
}

// Permit is the right to make one attempt. Exactly one of Report and Release
// counts, and only the first call of it. A Permit is owned by one goroutine at a
// time. The zero Permit is spent.
//
// It is four words long, because the compiler keeps nothing larger in registers.
type Permit struct {
	by    Settler
	id    uint64
	since Instant
}

// NewPermit returns the permit id, which by will settle. since is passed back to
// Settle. Only guards need it.
func NewPermit(by Settler, id uint64, since Instant) Permit {
	return Permit{by: by, id: id, since: since}
}

// ID returns the number under which the permit can be reported by message. 0 means
// that no actor is keeping count of it.
func (p *Permit) ID() uint64 { return p.id }

// Report says how the attempt ended. It does not block. It returns false if the
// permit had ended before: reported already, released, or taken back.
//
// While the guard's actor is busy the report is queued, and then Report returns
// true; should it turn out to be stale, the guard's Snapshot counts it so.
func (p *Permit) Report(o Outcome) bool {
	by := p.by
	if by == nil {
		return false
	}
	p.by = nil
	return by.Settle(p.id, p.since, o)
}

// Release gives the capacity back without a verdict. After Report it does
// nothing, so that it can be deferred right after Acquire.
func (p *Permit) Release() {
	if by := p.by; by != nil {
		p.by = nil
		by.Release(p.id)
	}
}
