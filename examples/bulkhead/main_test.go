package main

import (
	"strings"
	"testing"
	"time"

	"github.com/bulwark-go/bulwark/examples/internal/process"
)

const want = `Two slots, two may wait, for 100 ms.
does not wait:     bulkhead "reports" is full: 2 of 2 slots taken
waits too long:    max-wait
weighs too much:   bulkhead "reports": weight 3 is above the limit of 2

A third slot, while it runs.
slots taken:       3, peak 3, of 3; refused 3

A slot comes back even from a panic.
recovered:         a bug in the report
slots taken:       0, peak 3, of 3; refused 3

Three slots for each tenant.
greedy got:        3 of 10
modest got:        2 of 2
partitions in use: 2, saturated 1
partitions left:   0
`

func TestEveryRefusalHasItsReasonAndEverySlotComesBack(t *testing.T) {
	r := process.Run(t, time.Minute, process.Build(t))
	if r.Exit != 0 || r.Stdout != want {
		t.Errorf("exit status %d, output:\n%s\nwant:\n%s\nlog:\n%s", r.Exit, r.Stdout, want, r.Stderr)
	}
	if !strings.Contains(r.Stderr, `"event": "saturated"`) {
		t.Errorf("the event is not in the log:\n%s", r.Stderr)
	}
	t.Log("ran for", r.Took)
}
