package main

import (
	"strings"
	"testing"
	"time"

	"github.com/bulwark-go/bulwark/examples/internal/process"
)

const want = `Of ten, hot at eight, calm again at two.
produced 8, then:  backpressure of "ingest": 8 of 10 pending
six done:           hot false, pending 3, hot once for a while: true

An actor that reads, for credits.
lines read: 1000, never more than 40 under way: true

A stream under a valve of three.
1 4 9 16 25 36 49 64 81 100 = 385; at most 3 at once: true
`

func TestTheProducerWaitsAndTheStreamKeepsItsOrder(t *testing.T) {
	r := process.Run(t, time.Minute, process.Build(t))
	if r.Exit != 0 || r.Stdout != want {
		t.Errorf("exit status %d, output:\n%s\nwant:\n%s\nlog:\n%s", r.Exit, r.Stdout, want, r.Stderr)
	}
	if !strings.Contains(r.Stderr, `"event": "pressure"`) {
		t.Errorf("the event is not in the log:\n%s", r.Stderr)
	}
	t.Log("ran for", r.Took)
}
