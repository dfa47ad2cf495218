package main

import (
	"strings"
	"testing"
	"time"

	"github.com/bulwark-go/bulwark/examples/internal/process"
)

const want = `Four places, two may wait, for 100 ms.
level:             critical, 100 %
does not wait:     load shedder "edge" sheds normal requests (in-flight): 4 of 4 in flight, 0 wait
waits too long:    max-wait
weighs too much:   load shedder "edge": weight 5 is above the limit of 4
waits its turn:    <nil>

The processor is busy: 100 %.
background:        all shed
critical:          all admitted
level:             critical, cut-off above background

The processor is idle again.
background:        all admitted
admitted:          100 %, shed by the CPU only: true

Ten places, one user asks for all of them, again and again.
another finds one: true
`

func TestTheLeastImportantGoesFirstAndAllComeBack(t *testing.T) {
	r := process.Run(t, time.Minute, process.Build(t))
	if r.Exit != 0 || r.Stdout != want {
		t.Errorf("exit status %d, output:\n%s\nwant:\n%s\nlog:\n%s", r.Exit, r.Stdout, want, r.Stderr)
	}
	for _, event := range []string{"shedding", "recovered", "signal-changed", "level-changed"} {
		if !strings.Contains(r.Stderr, `"event": "`+event+`"`) {
			t.Errorf("the event %s is not in the log:\n%s", event, r.Stderr)
		}
	}
	t.Log("ran for", r.Took)
}
