package main

import (
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/bulwark-go/bulwark/examples/internal/process"
)

const promised = 23

// How much is served depends on what else the machine has to do, and tests run side by
// side; a mailer that gets no letter in time does not crash. What must never happen, never
// happens.
const always = `(?m)^✔ (mail: never|fleet:|reports:|events:|the |nothing|nobody)`

func TestShowcase(t *testing.T) {
	program := process.Build(t)

	// One after the other: each is busy enough with itself.
	t.Run("every promise that does not depend on the machine is held", func(t *testing.T) {
		r := process.Run(t, 2*time.Minute, program, "-duration=15s", "-cpu=false")
		t.Logf("ran for %v:\n%s", r.Took, r.Stdout)
		if r.Exit != allHeld && r.Exit != broken {
			t.Errorf("exit status %d, log:\n%s", r.Exit, r.Stderr)
		}
		wantLines(t, r.Stdout,
			`(?m)^ +\d\.\ds +rush +orders +\d+  served +\d+ `, // live
			`(?m)^  edge \w+.*/400  customers \d+ keys/100/s  backend latency \S+/\d+  breaker (closed|open|half-open)/-  reports .*/4  events (hot|calm)/100$`,
			`(?m)^ +scene +orders +served +failed +edge +customers +backend +breaker +p50 +p99$`,
			`(?m)^ +calm +[1-9]\d*( +\d+){6} +\S+ +\S+$`,
			`(?m)^ +healed +[1-9]\d*( +\d+){6} +\S+ +\S+$`,
			`(?m)^reports +[1-9]\d* made, [1-9]\d* refused, [1-9]\d* panicked; at most [1-4] at once$`,
			`(?m)^events +[1-9]\d* produced, [1-9]\d* written; at most [1-9]\d* pending$`,
			`(?m)^mail +[1-9]\d* asked for, [1-9]\d* sent, `,
			`(?m)^fleet +[1-9]\d* let through in 3 processes, at most [1-9]\d* in any second$`,
		)
		if n := strings.Count(r.Stdout, "✔") + strings.Count(r.Stdout, "✘"); n != promised {
			t.Errorf("%d promises, want %d", n, promised)
		}
		if held := len(regexp.MustCompile(always).FindAllString(r.Stdout, -1)); held != 9 {
			t.Errorf("%d of 9 that must hold are held", held)
		}
	})

	t.Run("a backend that does not heal breaks promises", func(t *testing.T) {
		r := process.Run(t, 2*time.Minute, program, "-duration=15s", "-cpu=false", "-sabotage")
		if r.Exit != broken {
			t.Errorf("exit status %d, output:\n%s\nlog:\n%s", r.Exit, r.Stdout, r.Stderr)
		}
		wantLines(t, r.Stdout, `(?m)^✘ healed: `)
	})

	t.Run("an interrupt prints what there is", func(t *testing.T) {
		r := process.Interrupt(t, time.Minute, program)
		if r.Exit != interrupted || strings.ContainsAny(r.Stdout, "✔✘") {
			t.Errorf("exit status %d, output:\n%s\nlog:\n%s", r.Exit, r.Stdout, r.Stderr)
		}
		wantLines(t, r.Stdout, `(?m)^ +calm +[1-9]\d* `, `interrupted: no promise is judged\n$`)
	})
}

func wantLines(t *testing.T, text string, patterns ...string) {
	t.Helper()
	for _, p := range patterns {
		if !regexp.MustCompile(p).MatchString(text) {
			t.Errorf("nothing matches %s in:\n%s", p, text)
		}
	}
}
