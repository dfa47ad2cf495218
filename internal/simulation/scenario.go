package simulation

import (
	"time"

	"github.com/bulwark-go/bulwark/patterns"
)

// Service is what is protected.
type Service struct {
	Workers int
	// Mean is the mean service time, Sigma the shape of its lognormal distribution: 0
	// is constant, 0.5 a p99 of 2.8 times the mean. Exponential overrides it.
	Mean        time.Duration
	Sigma       float64
	Exponential bool
	// Deadline is how long after its arrival a call is worth an answer.
	Deadline time.Duration
	// Abandon: callers leave at their deadline and give the permit back, while the
	// service goes on with their work. Otherwise they wait for its end.
	Abandon bool
}

// Capacity is how many calls per second the service can do.
func (s Service) Capacity() float64 { return float64(s.Workers) / s.Mean.Seconds() }

// Class is a part of the traffic.
type Class struct {
	Share    float64 // of the calls, relative to the other classes
	Priority patterns.Priority
	Key      string
}

// Phase changes what the world is like from At on.
type Phase struct {
	At time.Duration
	// Load is the rate of calls as a multiple of the Service's nominal capacity.
	Load float64
	// Slow multiplies service times; 0 means 1.
	Slow float64
	// Lost is the share of workers that are gone.
	Lost float64
}

// Scenario is one experiment.
type Scenario struct {
	Name    string
	Service Service
	Classes []Class // none: all normal
	Phases  []Phase // in order of At, the first at 0
	// Clients, if set, call in a closed loop, each Think after its last answer, in
	// place of the open-loop Poisson arrivals of Load.
	Clients int
	Think   time.Duration
	// Retries is how often a refused or late call is tried again, Backoff later on
	// average.
	Retries int
	Backoff time.Duration
	// MaxWaiting bounds the waiters in front of a limiter that is no Queuer.
	MaxWaiting int

	Warm time.Duration // not scored
	Last time.Duration
	Seed uint64
}

// Limiter decides which calls get through. It is the part of a Machine that callers see.
type Limiter interface {
	Acquire(now patterns.Instant, id uint64, r *patterns.Request) patterns.Decision
	Report(now patterns.Instant, p patterns.PermitID, o patterns.Outcome, elapsed time.Duration) (counted, dirty bool)
	Tick(now patterns.Instant) bool
	Wake() patterns.Instant
}

// Queuer is a Limiter that has callers wait.
type Queuer interface {
	Join(now patterns.Instant, r *patterns.Request, q patterns.Queue) (until patterns.Instant, dirty bool, err error)
	Expired(now patterns.Instant, r *patterns.Request) (dirty bool, err error)
	Order() patterns.Order
	Again() patterns.Instant
}

// Fixed is the limiter that never learns.
type Fixed struct{ Limit, inFlight int }

// Acquire grants as long as fewer than Limit permits are out.
func (f *Fixed) Acquire(patterns.Instant, uint64, *patterns.Request) patterns.Decision {
	if f.inFlight >= f.Limit {
		return patterns.Decision{Verdict: patterns.Wait}
	}
	f.inFlight++
	return patterns.Decision{Verdict: patterns.Grant}
}

// Report frees the permit.
func (f *Fixed) Report(patterns.Instant, patterns.PermitID, patterns.Outcome, time.Duration) (counted, dirty bool) {
	f.inFlight--
	return true, false
}

// Tick has nothing to do.
func (f *Fixed) Tick(patterns.Instant) bool { return false }

// Wake is never.
func (f *Fixed) Wake() patterns.Instant { return patterns.Never }
