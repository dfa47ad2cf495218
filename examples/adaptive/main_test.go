package main

import (
	"strings"
	"testing"
	"time"

	"github.com/bulwark-go/bulwark/examples/internal/process"
)

const want = `Four workers, 32 callers.
calls take half of the time, or less:  true
most of what four can do is done:      true
the limit it found is near the four:   true

A classic, that begins at 20.
no such article:       limit 20
turned away:           limit 18
out of time:           limit 16
the caller left:       limit 16

One place, and two may wait for it.
does not wait:   limit
one too many:    queue
served:          critical
served:          low
in maintenance:  forced
`

func TestCallsBecomeQuickAndThroughputStays(t *testing.T) {
	r := process.Run(t, time.Minute, process.Build(t))
	if r.Exit != 0 || r.Stdout != want {
		t.Errorf("exit status %d, output:\n%s\nwant:\n%s\nlog:\n%s", r.Exit, r.Stdout, want, r.Stderr)
	}
	if !strings.Contains(r.Stderr, `"event": "state-changed"`) {
		t.Errorf("the event is not in the log:\n%s", r.Stderr)
	}
	t.Log("ran for", r.Took)
}
