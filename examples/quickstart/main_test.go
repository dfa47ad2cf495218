package main

import (
	"strings"
	"testing"
	"time"

	"github.com/bulwark-go/bulwark/examples/internal/process"
)

const want = `order 1: failed, the bank is down
order 2: failed, the bank is down
order 3: failed, the bank is down
order 4: refused, the breaker is open (consecutive-failures)
order 5: paid, receipt 5
order 6: paid, receipt 6
order 7: paid, receipt 7
the breaker is closed: of 7 calls it let 6 pass and refused 1; the bank got 6
`

func TestItFailsThenRefusesThenPays(t *testing.T) {
	r := process.Run(t, time.Minute, process.Build(t))
	if r.Exit != 0 || r.Stdout != want {
		t.Errorf("exit status %d, output:\n%s\nwant:\n%s\nlog:\n%s", r.Exit, r.Stdout, want, r.Stderr)
	}
	if !strings.Contains(r.Stderr, `"cause": "consecutive-failures"`) {
		t.Errorf("the opening is not in the log:\n%s", r.Stderr)
	}
	t.Log("ran for", r.Took)
}
