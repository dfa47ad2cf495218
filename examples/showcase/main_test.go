package main

import (
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/bulwark-go/bulwark/examples/internal/process"
)

const promised = 8

func TestShowcase(t *testing.T) {
	program := process.Build(t)

	t.Run("every promise is held", func(t *testing.T) {
		t.Parallel()
		r := process.Run(t, time.Minute, program, "-duration=6s")
		t.Logf("ran for %v:\n%s", r.Took, r.Stdout)
		if r.Exit != 0 {
			t.Errorf("exit status %d, log:\n%s", r.Exit, r.Stderr)
		}
		wantLines(t, r.Stdout,
			`(?m)^ \d\.\ds failing  (closed|open) +sent +\d+  reached +\d+  failed fast +\d+$`, // live
			`(?m)^backend  ·+x+~+·+ `,
			`(?m)^breaker  C+[OH]+C+ `,
			`(?m)^traffic  [▁▂▃▄▅▆▇]{38} `,
			`(?m)^ +all( +[1-9]\d*){5}$`,
			`(?m)^time to open +\d+ms$`,
			`(?m)^time to recover +(\d+ms|1\.\d+s)$`,
			`(?m)^saved backend calls +[1-9]\d* of [1-9]\d*$`,
		)
		if held := strings.Count(r.Stdout, "✔"); held != promised || strings.Contains(r.Stdout, "✘") {
			t.Errorf("%d promises held, want %d", held, promised)
		}
		wantLines(t, r.Stderr, `"cause": "failure-ratio"`, `"cause": "probes-passed"`)
	})

	t.Run("a backend that does not heal breaks one promise", func(t *testing.T) {
		t.Parallel()
		r := process.Run(t, time.Minute, program, "-duration=6s", "-sabotage")
		if r.Exit != broken || strings.Count(r.Stdout, "✘") != 1 || strings.Count(r.Stdout, "✔") != promised-1 {
			t.Errorf("exit status %d, output:\n%s\nlog:\n%s", r.Exit, r.Stdout, r.Stderr)
		}
		wantLines(t, r.Stdout, `(?m)^✘ it closed within 2s of the healing, and stayed so +never$`, `(?m)^time to recover +never$`)
	})

	t.Run("an interrupt prints what there is", func(t *testing.T) {
		t.Parallel()
		r := process.Interrupt(t, time.Minute, program)
		if r.Exit != interrupted || strings.ContainsAny(r.Stdout, "✔✘") {
			t.Errorf("exit status %d, output:\n%s\nlog:\n%s", r.Exit, r.Stdout, r.Stderr)
		}
		wantLines(t, r.Stdout, `(?m)^ +all +[1-9]\d* `, `(?m)^time to open +never$`, `interrupted: no promise is judged\n$`)
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
