package main

import (
	"testing"
	"time"

	"github.com/bulwark-go/bulwark/examples/internal/process"
)

const want = `One search in ten is stuck for 1 s.
without a hedge:  the slowest takes 1 s and more
with one of 200ms: the slowest takes 200 ms and more
20 calls cost 22 attempts; 2 were answered by the extra one
the breaker inside counted 0 failures, and ignored 2 that were cancelled

Every search is slow, and nothing is gained by asking twice.
without a budget 20 calls cost 40 attempts
with    a budget 20 calls cost 24 attempts
`

func TestAHedgeCutsTheSlowestCallsAndABudgetItsPrice(t *testing.T) {
	r := process.Run(t, time.Minute, process.Build(t))
	if r.Exit != 0 || r.Stdout != want {
		t.Errorf("exit status %d, output:\n%s\nwant:\n%s\nlog:\n%s", r.Exit, r.Stdout, want, r.Stderr)
	}
	t.Log("ran for", r.Took)
}
