package simulation

import (
	"math"
	"testing"
	"time"
)

// erlangB is the share of calls that find all of c servers busy when nobody waits
// (Erlang 1917), whatever the distribution of service times.
func erlangB(c int, load float64) float64 {
	b := 1.0
	for k := 1; k <= c; k++ {
		b = load * b / (float64(k) + load*b)
	}
	return b
}

// erlangC is the share that must wait when everybody waits, for exponential times.
func erlangC(c int, load float64) float64 {
	b, n := erlangB(c, load), float64(c)
	return n * b / (n - load*(1-b))
}

func near(t *testing.T, what string, got, want, tolerance float64) {
	t.Helper()
	if math.Abs(got-want) > tolerance {
		t.Errorf("%s = %.4f, Erlang says %.4f", what, got, want)
	}
}

func TestBlockingIsErlangB(t *testing.T) {
	for _, c := range []int{1, 5, 50} {
		for _, rho := range []float64{0.5, 1, 2} {
			r := Run(Scenario{
				Service: Service{Workers: c, Mean: 10 * time.Millisecond, Sigma: 0.8, Deadline: time.Hour},
				Phases:  []Phase{{Load: rho}}, Last: 200 * time.Second / time.Duration(c), Seed: 1,
			}, &Fixed{Limit: c})
			near(t, "blocking", 1-float64(r.Granted)/float64(r.Offered), erlangB(c, rho*float64(c)), 0.02)
		}
	}
}

func TestWaitingIsErlangC(t *testing.T) {
	for _, c := range []int{1, 4, 16} {
		for _, rho := range []float64{0.3, 0.7, 0.85} {
			s := Service{Workers: c, Mean: 10 * time.Millisecond, Exponential: true, Deadline: time.Hour}
			r := Run(Scenario{Service: s, Phases: []Phase{{Load: rho}}, Last: 1000 * time.Second / time.Duration(c), Seed: 2}, &Fixed{Limit: 1 << 20})
			want := erlangC(c, rho*float64(c))
			near(t, "share that waits", float64(r.Waited)/float64(r.Started), want, 0.02)
			wait := want / (float64(c) * (1 - rho)) // in service times
			near(t, "mean wait", r.WaitSum.Seconds()/float64(r.Started)/s.Mean.Seconds(), wait, 0.05+0.1*wait)
		}
	}
}
