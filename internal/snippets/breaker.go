package snippets

import (
	"errors"
	"time"

	"github.com/bulwark-go/bulwark/actors"
	"github.com/bulwark-go/bulwark/patterns"
	"github.com/bulwark-go/bulwark/patterns/circuitbreaker"
)

var errInvalid = errors.New("invalid order")

func configured(guards *actors.Registry) (*circuitbreaker.Breaker, error) {
	// region: breaker
	return circuitbreaker.Spawn(guards, "payments", circuitbreaker.Config{
		FailureRatio: 0.25, Window: circuitbreaker.During(10 * time.Second),
		SlowRatio: 0.8, SlowCall: 500 * time.Millisecond,
		OpenFor: 5 * time.Second, OpenFactor: 2, MaxOpenFor: time.Minute, OpenJitter: 0.2,
		Probes: 3, RampFor: 10 * time.Second,
	}, actors.WithJudge(patterns.IgnoreOn(errInvalid)))
	// endregion
}
