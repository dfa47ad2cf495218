package main

import (
	"testing"
	"time"

	"github.com/bulwark-go/bulwark/examples/internal/process"
)

const want = `The bank is well.
ann:  charged; asked more than once: false

The bank needs 1.2 s, and an attempt has 500 ms.
bob:  charged; asked more than once: true

The bank crashes.
cleo: charged; asked more than once: true

The bank does not answer.
dave: on the bill; asked more than once: false

shop and bank answered others meanwhile; the bank has charged 3 customers
`

func TestEverybodyIsAnsweredAndNobodyChargedTwice(t *testing.T) {
	r := process.Run(t, time.Minute, process.Build(t))
	if r.Exit != 0 || r.Stdout != want {
		t.Errorf("exit status %d, output:\n%s\nwant:\n%s\nlog:\n%s", r.Exit, r.Stdout, want, r.Stderr)
	}
	t.Log("ran for", r.Took)
}
