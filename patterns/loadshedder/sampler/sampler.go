package sampler

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"runtime"
	"time"

	"github.com/bulwark-go/bulwark/patterns"
	"github.com/bulwark-go/bulwark/patterns/internal/cgroup"
)

// Errors that are given often are made once.
var (
	errFirst   = fmt.Errorf("%w: nothing to compare with", ErrPending)
	errBack    = fmt.Errorf("%w: no time has passed, or a counter went back", ErrPending)
	errNoQuota = fmt.Errorf("%w: no quota", ErrUnavailable)
	errNoCPUs  = fmt.Errorf("%w: nothing says how many CPUs there are", ErrUnavailable)
	errNoTotal = fmt.Errorf("%w: neither a limit nor how much memory there is", ErrUnavailable)
	errNoPSI   = fmt.Errorf("%w: no pressure stall information", ErrUnavailable)
	errNoFull  = fmt.Errorf("%w: the kernel does not count when all tasks wait for this", ErrUnavailable)
	errNoRoot  = fmt.Errorf("%w: control groups are of Linux", ErrUnavailable)
)

const (
	// lookAgain is how often the groups are looked for, beyond when the process is seen
	// to have moved: controllers are switched on, and file systems mounted.
	lookAgain = time.Minute
	// lookAfter is how long after that they are looked for again when a file is gone.
	lookAfter = 5 * time.Second
)

// Sampler reads signals of the machine. It is for one goroutine at a time.
type Sampler struct {
	opts    Options
	on      Signal
	fsys    fs.FS // nil if there are no control groups
	machine machine
	golang  *golang

	membership file
	member     []byte // what it said when the group was looked for
	group      *group
	looked     patterns.Instant
	lost       bool // a file is gone

	cpu   cpuState
	total uint64 // bytes of memory that the machine has; 0 if not known

	buf, spare []byte
}

// New returns a Sampler. Its error is of the Options: whatever a machine does not have
// is told by the signal that needs it.
func New(o Options) (*Sampler, error) {
	if err := o.Validate(); err != nil {
		return nil, err
	}
	fsys := o.Root
	if fsys == nil && runtime.GOOS == "linux" {
		fsys = os.DirFS("/")
	}
	return newSampler(o, fsys, host{}), nil
}

func newSampler(o Options, fsys fs.FS, m machine) *Sampler {
	o = o.withDefaults()
	return &Sampler{
		opts: o, on: o.Signals, fsys: fsys, machine: m,
		golang:     newGolang(o.Signals),
		membership: file{path: membershipFile},
		buf:        make([]byte, maxFile), spare: make([]byte, 128),
	}
}

// Read measures every signal that is on. It waits for nothing but the kernel's answers.
// now is the caller's clock, and should be 250 ms or more after the last Read: quotas
// are for periods of 100 ms, and the machine's counters go in steps of 10 ms.
func (s *Sampler) Read(now patterns.Instant) Reading {
	r := Reading{At: now}
	for i := range r.samples {
		r.samples[i].Err = ErrOff
	}
	if s.on&(CPU|Throttled|Memory|pressures) != 0 {
		s.look(now)
	}
	if s.on&(CPU|Throttled) != 0 {
		s.readCPU(now, &r)
	}
	if s.on.Has(Memory) {
		s.readMemory(now, &r)
	}
	if s.on&pressures != 0 {
		s.readPressure(now, &r)
	}
	s.golang.read(now, &r)
	return r
}

// Close closes the files that are kept open. A Read opens them again.
func (s *Sampler) Close() error {
	s.membership.close()
	if s.group != nil {
		s.group.close()
	}
	return nil
}

// read returns a file's contents until the next read.
func (s *Sampler) read(f *file) ([]byte, error) { return f.read(s.fsys, s.buf) }

// failed notes that a file is gone. Contents that are wrong will not be right elsewhere.
func (s *Sampler) failed(err error) {
	if _, gone := errors.AsType[*fs.PathError](err); gone {
		s.lost = true
	}
}

// look finds the process's groups if it does not know them.
func (s *Sampler) look(now patterns.Instant) {
	if s.fsys == nil {
		if s.group == nil {
			s.group = &group{noCPU: errNoRoot, noMemory: errNoRoot}
			s.measure()
		}
		return
	}
	text, err := s.read(&s.membership)
	moved := s.group == nil || !bytes.Equal(text, s.member)
	since := now.Sub(s.looked)
	if !moved && since < lookAgain && !(s.lost && since >= lookAfter) {
		return
	}
	s.member = append(s.member[:0], text...) // discover reads into the same buffer
	g := discover(s.fsys, s.member, err, s.on, s.opts.Scope)
	if s.group == nil || moved || !s.group.adopt(g) {
		if s.group != nil {
			s.group.close()
		}
		s.group = g
	}
	s.looked, s.lost = now, false
	s.measure()
}

// measure finds what does not change often.
func (s *Sampler) measure() {
	if s.on&(CPU|Throttled) != 0 {
		s.cpu.bound = s.affinity()
		s.cpu.cpus = 0
		if n, err := s.machine.cpus(); err == nil && n > 0 {
			s.cpu.cpus = n
		}
		if s.cpu.bound >= s.cpu.cpus && s.cpu.cpus > 0 {
			s.cpu.bound = 0 // to all of them: not bound
		}
	}
	if s.on.Has(Memory) {
		s.total = 0
		if _, total, err := s.machine.memory(); err == nil {
			s.total = total
		}
	}
}

// affinity returns how many CPUs the process may run on, 0 if nobody says.
func (s *Sampler) affinity() int {
	if s.fsys == nil {
		return 0
	}
	f := file{path: "proc/self/status"}
	defer f.close()
	text, err := s.read(&f)
	if err != nil {
		return 0
	}
	for line := range bytes.Lines(text) {
		if list, ok := bytes.CutPrefix(line, []byte("Cpus_allowed_list:")); ok {
			n, _ := cgroup.CountCPUs(list)
			return n
		}
	}
	return 0
}
