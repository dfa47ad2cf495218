package main

import (
	"io"
	"time"

	"github.com/bulwark-go/bulwark/examples/internal/fleet"
)

// judge prints what was promised, and whether it was kept.
func judge(out io.Writer, r fleet.Record) (held bool) {
	most := fleet.Most(r.Admissions, time.Second)
	held = promise(out, most > 0 && most <= fleet.Bound,
		"in no second more than %d, which is a burst above 100 and a bit: at most %d", fleet.Bound, most)
	if r.Missing != nil {
		return held
	}
	down := 0
	for _, s := range r.Seconds {
		if s.Redis == fleet.Down {
			down += s.Together
		}
	}
	return promise(out, down > 0, "without Redis, requests passed all the same: %d of them", down) && held
}

func promise(out io.Writer, kept bool, format string, args ...any) bool {
	mark := "✔ "
	if !kept {
		mark = "✘ "
	}
	printf(out, mark+format+"\n", args...)
	return kept
}
