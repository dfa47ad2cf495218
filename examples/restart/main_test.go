package main

import (
	"strings"
	"testing"
	"time"

	"github.com/bulwark-go/bulwark/examples/internal/process"
)

const want = `The breaker is closed, 2 in flight, and its actor panics.
  ✔ the request that met the panic is refused, and never ran
  ✔ the restart kept everything else
  ✔ a call from before the panic fails: that counts, and opens the breaker
The breaker is open, 1 in flight, and its actor panics.
  ✔ the request that met the panic is refused, and never ran
  ✔ the restart kept everything else
  ✔ the next call is refused by the breaker: it stayed open

                    before   after    before   after
state               closed   closed   open     open
epoch               1        1        2        2
failures in a row   4        4        5        5
calls in flight     2        2        1        1
calls granted       6        6        6        6
calls refused       0        1        1        2
restarts            0        1        1        2
`

func TestARestartKeepsEverythingAndTheExampleNoticesIfNot(t *testing.T) {
	program := process.Build(t)

	r := process.Run(t, time.Minute, program)
	if r.Exit != 0 || r.Stdout != want {
		t.Errorf("exit status %d, output:\n%s\nwant:\n%s\nlog:\n%s", r.Exit, r.Stdout, want, r.Stderr)
	}
	if !strings.Contains(r.Stderr, "a bug in the breaker") {
		t.Errorf("the panic is not in the log:\n%s", r.Stderr)
	}
	t.Log("ran for", r.Took)

	r = process.Run(t, time.Minute, program, "-sabotage")
	if r.Exit != 1 || strings.Count(r.Stdout, "✘ the restart kept everything else") != 2 {
		t.Errorf("sabotaged, it ended with exit status %d, output:\n%s\nlog:\n%s", r.Exit, r.Stdout, r.Stderr)
	}
}
