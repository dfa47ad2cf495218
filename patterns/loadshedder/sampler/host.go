package sampler

import (
	"errors"
	"fmt"

	"github.com/shirou/gopsutil/v3/cpu"
	"github.com/shirou/gopsutil/v3/mem"

	"github.com/bulwark-go/bulwark/patterns"
)

// machine is what the operating system says without control groups.
type machine interface {
	// times returns how much CPU time was spent and how much there was, in seconds
	// since the beginning.
	times() (busy, total float64, err error)
	// memory returns bytes. What can be had back at once is not used.
	memory() (used, total uint64, err error)
	// process returns the CPU time of this process in ns.
	process() (uint64, error)
	// cpus is how many there are, those that the process may not use included.
	cpus() (int, error)
}

// host is the machine that this runs on.
type host struct{}

// times does not use cpu.Percent, which sleeps, or compares with a last call that may
// have been anybody's.
func (host) times() (busy, total float64, err error) {
	all, err := cpu.Times(false)
	switch {
	case err != nil:
		return 0, 0, fmt.Errorf("sampler: CPU times: %w", err)
	case len(all) == 0: // gopsutil says so when it cannot read
		return 0, 0, errors.New("sampler: the machine does not say how its CPU time is spent")
	}
	t := all[0]
	// Guest time is in User already. Time stolen by the hypervisor was not there to be
	// had, just as if somebody had used it.
	busy = t.User + t.Nice + t.System + t.Irq + t.Softirq + t.Steal
	return busy, busy + t.Idle + t.Iowait, nil
}

func (host) memory() (used, total uint64, err error) {
	m, err := mem.VirtualMemory()
	switch {
	case err != nil:
		return 0, 0, fmt.Errorf("sampler: memory: %w", err)
	case m.Total == 0 || m.Available > m.Total: // gopsutil says so when it cannot read
		return 0, 0, errors.New("sampler: the machine does not say how much memory it has")
	}
	return m.Total - m.Available, m.Total, nil
}

func (host) process() (uint64, error) { return processTime() }

func (host) cpus() (int, error) { return cpu.Counts(true) }

// hostMeter turns readings of times into the share spent. It does not compare with the
// time that passed, since the counters go in steps of 10 ms per CPU: the total does too.
type hostMeter struct {
	busy, total float64
	ready       bool
}

func (m *hostMeter) sample(now patterns.Instant, busy, total float64) Sample {
	last := *m
	*m = hostMeter{busy, total, true}
	switch {
	case !last.ready:
		return Sample{Err: errFirst}
	// Idle time is known to go back a little where CPUs come and go. Written so that
	// NaN is refused too.
	case !(busy >= last.busy && total > last.total):
		return Sample{Err: errBack}
	}
	return share(now, (busy-last.busy)/(total-last.total), FromHost)
}
