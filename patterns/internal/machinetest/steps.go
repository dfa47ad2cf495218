package machinetest

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/bulwark-go/bulwark/patterns"
)

// Hosted is a Machine that also does the rest that Steps are about.
type Hosted interface {
	Machine
	Epoch() uint64
	Lease(now patterns.Instant, want int) int
	SettleLease(now patterns.Instant, epoch uint64, t patterns.Tally) (counted, dirty bool)
	Operate(now patterns.Instant, op patterns.Operation) error
}

// Steps are the steps of a Script that mean the same to every Machine in a Host.
type Steps[M Hosted] struct {
	*Host[M]
	*Script
	Callers int // who asked so far; the label of the last of them
}

// NewSteps returns the steps of a Host.
func NewSteps[M Hosted](t T, h *Host[M]) Steps[M] {
	return Steps[M]{Host: h, Script: NewScript(t, &h.Now)}
}

// Do does step, or reports that it is not one of these:
//
//	d d3     the oldest permit is reported as a success, permit 3 is (callers count from 1)
//	r r3     it is released without a verdict
//	c3       caller 3 leaves the queue
//	g4,5     callers 4 and 5 were granted since the last look; g for nobody
//	q2       2 wait
//	e3       the epoch
//	l=4 L4   a lease of at most 64 lends 4; 4 of it come back
//	reset    an operator
//	+5s      time passes
func (s *Steps[M]) Do(step string) bool {
	s.Host.t.Helper()
	switch {
	case step == "reset":
		s.Operator(func(now patterns.Instant) {
			if err := s.M.Operate(now, patterns.Operation{Kind: patterns.Reset}); err != nil {
				s.Fail("%v", err)
			}
		})
		return true
	case step[0] == '+':
		s.Pass(s.Duration(step[1:]))
		return true
	case strings.HasPrefix(step, "l="):
		s.Operator(func(now patterns.Instant) { s.Same("l=" + strconv.Itoa(s.M.Lease(now, 64))) })
		return true
	case strings.Trim(step[1:], "0123456789,") == "":
		return s.letter(step[0], step[1:])
	}
	return false
}

// letter does a step that is a letter, and a number or several.
func (s *Steps[M]) letter(letter byte, arg string) bool {
	s.Host.t.Helper()
	switch letter {
	case 'd':
		s.EndOf(arg, patterns.Success)
	case 'r':
		s.EndOf(arg, patterns.Ignored)
	case 'c':
		if !s.Cancel(s.Number(arg)) {
			s.Fail("does not wait")
		}
	case 'g':
		s.Same("g" + Join(s.Taken()))
	case 'q':
		s.Same(fmt.Sprintf("q%d", len(s.Queue)))
	case 'e':
		s.Same(fmt.Sprintf("e%d", s.M.Epoch()))
	case 'L':
		s.Operator(func(now patterns.Instant) { s.M.SettleLease(now, 1, patterns.Tally{Unused: s.Number(arg)}) })
	default:
		return false
	}
	return true
}

// EndOf ends the permit of which, or the oldest one if that is empty.
func (s *Steps[M]) EndOf(which string, o patterns.Outcome) {
	s.Host.t.Helper()
	label := 0
	if which != "" {
		label = s.Number(which)
	} else if out := s.Labels(); len(out) > 0 {
		label = out[0]
	}
	if !s.End(label, o) {
		s.Fail("is not out")
	}
}
