package main

import (
	"testing"
	"time"

	"github.com/bulwark-go/bulwark/examples/internal/process"
)

const want = `quota ▶ breaker ▶ room
one call runs, of the quota are left:           9
100 more were refused by the room, are left:    9
the room is free, a call passes (true), are left: 8

soon ▶ again ▶ instead ▶ circuit
soon outside again: all attempts together get the time of one; right only if it is meant so
soon outside instead: where the time is over the fallback is cut off too
again outside instead: the fallback succeeds, so nothing is ever retried

instead ▶ again ▶ circuit ▶ soon, warnings: 0
well:                      1 calls, "12.50", error: <nil>
slow, three times 50 ms:   3 calls, "12.50", error: <nil>
down, the circuit opens:   3 calls, "12.50", error: <nil>
not called any more:       0 calls, "12.50", error: <nil>
the circuit alone would say: refused true, by "circuit", open for an hour true
`

func TestWhatIsRefusedInsideCostsNothingOutside(t *testing.T) {
	r := process.Run(t, time.Minute, process.Build(t))
	if r.Exit != 0 || r.Stdout != want {
		t.Errorf("exit status %d, output:\n%s\nwant:\n%s\nlog:\n%s", r.Exit, r.Stdout, want, r.Stderr)
	}
	t.Log("ran for", r.Took)
}
