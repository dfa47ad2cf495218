package main

import (
	"os"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/bulwark-go/bulwark/patterns/circuitbreaker"
)

func TestOnATerminalTheStatusIsOneLineThatFits(t *testing.T) {
	var out strings.Builder
	s := &screen{out: &out, live: true}
	r := good()
	line := statusLine(s, r, r.plan.heals())
	s.status("before")
	s.status(line)
	if got := out.String(); got != wipe+"before"+wipe+line {
		t.Errorf("wrote %q", got)
	}
	if !strings.Contains(line, "\x1b[31mopen ") || !strings.HasSuffix(line, "▁") {
		t.Errorf("neither the colour nor the traffic: %q", line)
	}
	plain := &screen{out: &out}
	if n := utf8.RuneCountInString(statusLine(plain, r, r.plan.end())) + 12; n > 80 {
		t.Errorf("%d columns", n)
	}
}

func TestAFileIsNoTerminal(t *testing.T) {
	f, err := os.Create(t.TempDir() + "/out")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = f.Close() }()
	if s := newScreen(f); s.live || s.paint("31", "x") != "x" {
		t.Error("written to as if it were one")
	}
}

func TestEveryStateHasALetterAndEveryPhaseAName(t *testing.T) {
	for _, c := range []circuitbreaker.State{circuitbreaker.Closed, circuitbreaker.Open, circuitbreaker.HalfOpen} {
		r := good()
		r.changes = []circuitbreaker.StateChanged{{To: c, At: r.plan.start()}}
		if got, want := r.breaker(r.plan.end()), strings.ToUpper(c.String()[:1]); got != strings.Repeat(want, slots) {
			t.Errorf("%v is drawn as %q", c, got)
		}
	}
	for p := range phases {
		if p.String() == "" {
			t.Errorf("phase %d has no name", int(p))
		}
	}
}
