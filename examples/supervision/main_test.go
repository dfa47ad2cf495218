package main

import (
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/bulwark-go/bulwark/examples/internal/process"
)

const want = `The mail server is down, and the mailer crashes with each message.
mailer: actor panicked while handling the message; restarted in 50ms
mailer: actor panicked while handling the message; restarted in 100ms
mailer: actor panicked while handling the message; restarted in 200ms
mailer: actor panicked while handling the message; restarted in 200ms
mailer: welcome: done

The bank is down. The gateway is restarted twice; then it is left alone.
gateway: actor panicked while handling the message
gateway: actor panicked while handling the message
gateway: actor panicked while handling the message
gateway: refused at once (true), as it is open; retry after a while (true)
gateway: refused at once (true), as it is open; retry after a while (true)

shop [one-for-one]  running
├── catalogue  running
├── mail [one-for-one]  running
│   └── mailer  running  restarts 4  failed on string: connection refused
└── payments [one-for-one]  running
    ├── gateway  open (too-often) for …  restarts 2  failed on string: connection refused
    └── ledger  running

The bank is back, and the gateway was restarted to be tried with one message.
gateway: charge: done

shop [one-for-one]  running
├── catalogue  running
├── mail [one-for-one]  running
│   └── mailer  running  restarts 4  failed on string: connection refused
└── payments [one-for-one]  running
    ├── gateway  running  restarts 3  failed on string: connection refused
    └── ledger  running

Everybody stops, children first, once they have served what they have.
stopped in good order
`

func TestCrashingWorkersComeBackOrAreLeftAlone(t *testing.T) {
	r := process.Run(t, time.Minute, process.Build(t))
	got := regexp.MustCompile(`for [0-9]+(ms|µs|ns)`).ReplaceAllString(r.Stdout, "for …")
	if r.Exit != 0 || got != want {
		t.Errorf("exit status %d, output:\n%s\nwant:\n%s\nlog:\n%s", r.Exit, got, want, r.Stderr)
	}
	for _, line := range []string{`"to": "open", "cause": "too-often"`, `"event": "child-restarted"`} {
		if !strings.Contains(r.Stderr, line) {
			t.Errorf("%s is not in the log:\n%s", line, r.Stderr)
		}
	}
	t.Log("ran for", r.Took)
}
