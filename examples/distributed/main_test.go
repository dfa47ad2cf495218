package main

import (
	"os"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/bulwark-go/bulwark/examples/internal/process"
)

func TestTogetherThreeProcessesNeverGetMoreThanTheLimit(t *testing.T) {
	program := process.Build(t)

	t.Run("while Redis is stopped and started", func(t *testing.T) {
		r := process.Run(t, time.Minute, program)
		wantLines(t, r, 0,
			`(?m)^3 processes share 100/second burst 9 through Redis\. `,
			`(?m)^ 0 to  1 runs `, `(?m)^ 2 to  3 down `, `(?m)^ 6 to  7 runs `,
			`(?m)^✔ in no second more than 114, `, `(?m)^✔ without Redis, requests passed all the same: `,
		)
	})
	t.Run("where there is no Redis", func(t *testing.T) {
		t.Setenv("PATH", os.TempDir())
		r := process.Run(t, time.Minute, program)
		wantLines(t, r, 0,
			`\A.*apt-get install redis-server`, `(?m)^So each of 3 processes keeps a third of 100/second burst 9 for itself\.$`,
			`(?m)^ 0 to  1 absent `, `(?m)^ 6 to  7 absent `,
			`(?m)^✔ in no second more than 114, `,
		)
	})
	t.Run("and an interrupt ends all of them", func(t *testing.T) {
		r := process.Interrupt(t, time.Minute, program)
		if r.Exit != 130 || strings.Contains(r.Stdout, "✔") {
			t.Errorf("interrupted, it ends with %d, log:\n%s\noutput:\n%s", r.Exit, r.Stderr, r.Stdout)
		}
	})
}

func wantLines(t *testing.T, r process.Result, exit int, patterns ...string) {
	t.Helper()
	if r.Exit != exit {
		t.Errorf("exit status %d, want %d, log:\n%s", r.Exit, exit, r.Stderr)
	}
	for _, p := range patterns {
		if !regexp.MustCompile(p).MatchString(r.Stdout) {
			t.Errorf("nothing matches %s in:\n%s", p, r.Stdout)
		}
	}
	t.Logf("ran for %v:\n%s", r.Took, r.Stdout)
}
