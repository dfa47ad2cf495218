package main

import (
	"strings"
	"testing"
	"time"

	"github.com/bulwark-go/bulwark/examples/internal/process"
)

const want = `A calm day.
ann: shipped
bob: shipped

Cleo orders seven times at once, and Dave once. Five an hour are what a customer may.
cleo: 5 shipped, 2 told to come again in about 12m0s
dave: shipped

Twelve parcels for three packers, and two tables.
12 shipped, never more than two packed at once: true

The bank is down.
finn: the bank is down
gwen: the bank is down
hugo: the bank is down
ines: put off by an open breaker (true), with a hint when to come again (true)
ines, later: shipped

Jack's parcel ticks.
jack: actor panicked while handling the message
packers that are left alone for a while: 1
kate: shipped

The shop closes.
no permit is left over
`

func TestOrdersAreShippedSlowedDownPutOffAndNothingIsLeftOver(t *testing.T) {
	r := process.Run(t, time.Minute, process.Build(t))
	if r.Exit != 0 || r.Stdout != want {
		t.Errorf("exit status %d, output:\n%s\nwant:\n%s\nlog:\n%s", r.Exit, r.Stdout, want, r.Stderr)
	}
	for _, line := range []string{"it ticks", `"guard": "packers/`, `"event": "limited"`} {
		if !strings.Contains(r.Stderr, line) {
			t.Errorf("%s is not in the log:\n%s", line, r.Stderr)
		}
	}
	t.Log("ran for", r.Took)
}
