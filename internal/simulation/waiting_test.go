package simulation

import (
	"errors"
	"testing"
	"time"

	"github.com/bulwark-go/bulwark/patterns"
)

// lobby is a fixed limit with a queue in front of it.
type lobby struct {
	Fixed
	order   patterns.Order
	most    int
	maxWait time.Duration
	expired int
	seen    []patterns.Instant // since when those waited that were granted
}

var errFull = errors.New("full")

func (l *lobby) Acquire(now patterns.Instant, id uint64, r *patterns.Request) patterns.Decision {
	d := l.Fixed.Acquire(now, id, r)
	if d.Verdict == patterns.Grant && r.Asked != 0 {
		l.seen = append(l.seen, r.Asked)
	}
	return d
}

func (l *lobby) Join(now patterns.Instant, _ *patterns.Request, q patterns.Queue) (until patterns.Instant, dirty bool, err error) {
	if q.Waiting >= l.most {
		return 0, false, errFull
	}
	until = patterns.Never
	if l.maxWait > 0 {
		until = now.Add(l.maxWait)
	}
	return until, false, nil
}

func (l *lobby) Expired(patterns.Instant, *patterns.Request) (dirty bool, err error) {
	l.expired++
	return false, errFull
}

func (l *lobby) Order() patterns.Order   { return l.order }
func (l *lobby) Again() patterns.Instant { return patterns.Never }

// A limit of as many as there are workers, with a queue in front, is M/M/c as one without
// a limit is; and who waits for how long on average does not depend on the order.
func TestWaitingInFrontIsErlangCInAnyOrder(t *testing.T) {
	const workers, rho = 4, 0.8
	s := Service{Workers: workers, Mean: 10 * time.Millisecond, Exponential: true, Deadline: time.Hour}
	wait := erlangC(workers, rho*workers) / (workers * (1 - rho)) // in service times
	for _, o := range []patterns.Order{patterns.FIFO, patterns.LIFO, patterns.Fair} {
		l := &lobby{Fixed: Fixed{Limit: workers}, order: o, most: 1 << 20}
		r := Run(Scenario{
			Service: s, Phases: []Phase{{Load: rho}}, Last: 500 * time.Second, Seed: 3,
			Classes: []Class{{Share: 3, Key: "a"}, {Share: 1, Key: "b"}},
		}, l)
		near(t, o.String()+": mean time in the system", r.Latency.Mean().Seconds()/s.Mean.Seconds(), 1+wait, 0.1)
		near(t, o.String()+": share that waits in front", float64(len(l.seen))/float64(r.Granted), erlangC(workers, rho*workers), 0.02)
		inOrder := true
		for i := 1; i < len(l.seen); i++ {
			inOrder = inOrder && l.seen[i] >= l.seen[i-1]
		}
		if inOrder != (o == patterns.FIFO) {
			t.Errorf("%v: in the order of arrival: %v", o, inOrder)
		}
	}
}

func TestHigherPrioritiesWaitForLess(t *testing.T) {
	s := Scenario{
		Service: Service{Workers: 2, Mean: 10 * time.Millisecond, Sigma: 0.5, Deadline: 100 * time.Millisecond}, Phases: []Phase{{Load: 1.5}},
		Classes: []Class{{Share: 1, Priority: patterns.Critical}, {Share: 3, Priority: patterns.Low}}, Last: 20 * time.Second, Seed: 4,
	}
	r := Run(s, &lobby{Fixed: Fixed{Limit: 2}, most: 100})
	if critical, low := r.Classes[0], r.Classes[1]; float64(critical.Good) < 0.99*float64(critical.Offered) || low.Good > low.Offered*3/4 {
		t.Errorf("%+v", r.Classes)
	}
}

func TestAWaitEndsWhenItsTimeIsUp(t *testing.T) {
	s := Scenario{Service: Reference(), Phases: []Phase{{Load: 3}}, Last: 5 * time.Second, Seed: 5}
	l := &lobby{Fixed: Fixed{Limit: 10}, most: 100, maxWait: 30 * time.Millisecond}
	r := Run(s, l)
	if l.expired == 0 || r.Latency.Quantile(0.999) > 30*time.Millisecond+80*time.Millisecond {
		t.Errorf("%d expired, p99.9 %v", l.expired, r.Latency.Quantile(0.999))
	}
}
