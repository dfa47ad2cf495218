package main

import (
	"errors"
	"runtime"
	"syscall"
	"time"
)

// processor measures how many processors the program keeps busy while it waits.
type processor struct{}

func (processor) measure(t *turn, s settings) error {
	runtime.GC()
	before, err := processorTime()
	began := time.Now()
	time.Sleep(s.tight)
	after, err2 := processorTime()
	took := time.Since(began)
	t.got = sample{NsPerOp: float64(took), OpsPerS: 1e9 / float64(took), CPU: float64(after-before) / float64(took)}
	return errors.Join(err, err2)
}

// tables shows the processors that are busy.
func (processor) tables(c benchCase, rs results, _ settings) []table {
	t := table{head: []string{"subject", "processors busy"}, left: 1}
	for _, s := range c.subjects {
		r, _ := rs.find(c.name, s.name, 1)
		t.add(s.name, number(r.CPU))
	}
	return []table{t}
}

// processorTime is what the process has used of its processors.
func processorTime() (time.Duration, error) {
	var u syscall.Rusage
	err := syscall.Getrusage(syscall.RUSAGE_SELF, &u)
	return time.Duration(u.Utime.Nano() + u.Stime.Nano()), err
}
