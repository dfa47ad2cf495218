package main

import (
	"testing"
	"time"

	"github.com/bulwark-go/bulwark/examples/internal/process"
)

const want = `A bank that fails twice.
after 3 calls:     answered (true)

A caller that has 550 ms: the waits would take 100, 200 and 300.
after 3 calls:     deadline, and the deadline has passed: false
is the bank's own:  true

The bank is down, and a thousand callers try, three times each.
without a budget it gets 3000 calls, of which 2000 are retries
with    a budget it gets 1200 calls, of which 200 are retries
`

func TestRetriesEndInTimeAndABudgetKeepsAnOutageFromGrowing(t *testing.T) {
	r := process.Run(t, time.Minute, process.Build(t))
	if r.Exit != 0 || r.Stdout != want {
		t.Errorf("exit status %d, output:\n%s\nwant:\n%s\nlog:\n%s", r.Exit, r.Stdout, want, r.Stderr)
	}
	t.Log("ran for", r.Took)
}
