package machinetest

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/bulwark-go/bulwark/patterns"
)

// Script reads a scenario from a line of steps, so that it is a table row.
type Script struct {
	Step string // that is done
	t    T
	now  *patterns.Instant
}

// NewScript returns a Script of a test; now is its clock, and failures tell the time.
func NewScript(t T, now *patterns.Instant) *Script { return &Script{t: t, now: now} }

// Run does the steps of a line one after the other; a*4 is four times a.
func (s *Script) Run(line string, do func(step string)) {
	s.t.Helper()
	for _, step := range strings.Fields(line) {
		step, times, repeated := strings.Cut(step, "*")
		s.Step = step
		n := 1
		if repeated {
			n = s.Number(times)
		}
		for range n {
			s.Step = step
			do(step)
		}
	}
}

// Same fails the test unless got is what the step says.
func (s *Script) Same(got string) {
	s.t.Helper()
	if got != s.Step {
		s.Fail("got %s", got)
	}
}

// Number reads a part of the step.
func (s *Script) Number(text string) int {
	s.t.Helper()
	n, err := strconv.Atoi(text)
	if err != nil {
		s.Fail("%v", err)
	}
	return n
}

// Duration reads a part of the step.
func (s *Script) Duration(text string) time.Duration {
	s.t.Helper()
	d, err := time.ParseDuration(text)
	if err != nil {
		s.Fail("%v", err)
	}
	return d
}

// Fail fails the test, and says in which step and when.
func (s *Script) Fail(format string, args ...any) {
	s.t.Helper()
	s.t.Fatalf("step %q at %v: %s", s.Step, time.Duration(*s.now), fmt.Sprintf(format, args...))
}

// Join is how a step names callers: 4,5.
func Join(labels []int) string {
	var text []string
	for _, l := range labels {
		text = append(text, strconv.Itoa(l))
	}
	return strings.Join(text, ",")
}
