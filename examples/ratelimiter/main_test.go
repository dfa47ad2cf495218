package main

import (
	"strings"
	"testing"
	"time"

	"github.com/bulwark-go/bulwark/examples/internal/process"
)

const want = `A bad rate:     ratelimiter: rate "100 per minute": there is no slash after the count; a good one is "100/minute burst 20"

60 an hour for each user, 3 of them at once.
anna may:       true
anna may:       true
anna may:       true
anna may:       false
bert may:       true
anna hears:     0 of 3 left, two more in about 2m0s
five at once:   rate limiter "api": weight 5 is not in [1, 3], which is all that 60/hour burst 3 ever lets pass at once

Anna buys more.
anna got some:  true of 300

One call every 500 ms; nobody waits for more than 1.5 s.
refused at once: caller 4, max-wait
passes:         caller 0
passes:         caller 1
passes:         caller 2
passes:         caller 3
took 1.5 s:     true

One report an hour, reserved ahead.
reserved:       in 0s
reserved:       in 1h0m0s
reserved:       in 2h0m0s
given back:     true
given back:     false
within an hour: max-wait

50,000 made-up keys, and room for 1000.
keys:           1000 in 48 KiB
let through:    true
anna has anew:  false
`

func TestEveryRefusalSaysWhyAndNobodyGetsMoreThanItsRate(t *testing.T) {
	r := process.Run(t, time.Minute, process.Build(t))
	if r.Exit != 0 || r.Stdout != want {
		t.Errorf("exit status %d, output:\n%s\nwant:\n%s\nlog:\n%s", r.Exit, r.Stdout, want, r.Stderr)
	}
	if !strings.Contains(r.Stderr, `"event": "key-overflow"`) {
		t.Errorf("the event is not in the log:\n%s", r.Stderr)
	}
	t.Log("ran for", r.Took)
}
