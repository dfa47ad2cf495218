package main

import (
	"testing"
	"time"

	"github.com/bulwark-go/bulwark/examples/internal/process"
)

const want = `A customer who may order twice a minute.
Order   OK
Order   OK
Order   ResourceExhausted, RATE_LIMITED, come again in 30s: Too many requests were made. Try again later.

The bank is down: what the handler's breaker refuses is Unavailable, and says nothing of the bank.
Pay     Internal: The payment failed.
Pay     Internal: The payment failed.
Pay     Unavailable, UNAVAILABLE, come again in 1m0s: The service is not available at the moment. Try again later.
Health  OK

What is idempotent is tried again, when the server says; what is not is not.
Rates   OK
  2 calls, and it waited as long as it was told: true
Quote   Unavailable, come again in 50ms: Not yet.
  1 call

Two streams may run. A third has no place until one of them ends.
Watch   Unavailable, OVERLOADED, come again in 1s: The service has too much to do. Try again later.
Watch   OK

The tap is full. Nothing was decoded, and no handler has run.
Pay     Unavailable, OVERLOADED, come again in 1s: The service has too much to do. Try again later.
Health  OK

All books balance, and no permit is out: true
`

func TestCallsAreRefusedAndStreamsHoldTheirPlaces(t *testing.T) {
	r := process.Run(t, time.Minute, process.Build(t))
	if r.Exit != 0 || r.Stdout != want {
		t.Errorf("exit status %d, output:\n%s\nwant:\n%s\nlog:\n%s", r.Exit, r.Stdout, want, r.Stderr)
	}
	t.Log("ran for", r.Took)
}
