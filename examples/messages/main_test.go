package main

import (
	"strings"
	"testing"
	"time"

	"github.com/bulwark-go/bulwark/examples/internal/process"
)

const want = `The bank is well.
ann:   paid
bob:   paid

Workers die with permits in their hands.
worker took 2:    in flight 2, reclaimed 0
worker stopped:   in flight 0, reclaimed 2
worker took 3:    in flight 3, reclaimed 2
worker restarted: in flight 0, reclaimed 5

The bank is down.
cleo:  failed
dave:  failed
eve:   failed
finn:  try again in 1m0s

asked 11 = granted 10 + rejected 1; granted = reported 5 + reclaimed 5 + in flight 0
`

func TestOrdersArePaidPermitsComeBackAndOrdersArePutOff(t *testing.T) {
	r := process.Run(t, time.Minute, process.Build(t))
	if r.Exit != 0 || r.Stdout != want {
		t.Errorf("exit status %d, output:\n%s\nwant:\n%s\nlog:\n%s", r.Exit, r.Stdout, want, r.Stderr)
	}
	if !strings.Contains(r.Stderr, "a bug in the worker") {
		t.Errorf("the worker's panic is not in the log:\n%s", r.Stderr)
	}
	t.Log("ran for", r.Took)
}
