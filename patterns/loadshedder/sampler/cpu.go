package sampler

import (
	"errors"
	"math"
	"time"

	"github.com/bulwark-go/bulwark/patterns"
	"github.com/bulwark-go/bulwark/patterns/internal/cgroup"
)

// cpuState is what is kept for CPU besides the group's own.
type cpuState struct {
	host    hostMeter
	process cgroup.Meter
	bound   int // how many CPUs the process may run on; 0 if nobody says
	cpus    int // how many there are; 0 if nobody says
}

// readCPU sets CPU, Throttled and the limit.
func (s *Sampler) readCPU(now patterns.Instant, r *Reading) {
	onlyHost := s.opts.Scope == Host
	r.CPULimit = float64(s.cpu.cpus)
	if s.cpu.bound > 0 && !onlyHost {
		r.CPULimit = float64(s.cpu.bound)
	}
	var own Sample
	limited := false
	if s.on.Has(CPU) && !onlyHost || s.on.Has(Throttled) {
		var throttled Sample
		own, throttled, limited = s.groupCPU(now, r)
		if s.on.Has(Throttled) {
			r.samples[Throttled.index()] = throttled
		}
	}
	if !s.on.Has(CPU) {
		return
	}
	if onlyHost {
		r.samples[CPU.index()] = s.hostCPU(now)
		return
	}
	process := s.processCPU(now)
	unknown := own.Err != nil && !errors.Is(own.Err, ErrUnavailable) && !errors.Is(own.Err, ErrPending)
	if limited || s.opts.Scope == Group || unknown {
		// Where files cannot be read there may be a quota: the machine's share would say
		// nothing.
		s.cpu.host = hostMeter{} // it will not compare with today if it is asked again
		r.samples[CPU.index()] = higher(own, process)
		return
	}
	// The machine's, unless the group or the process is bound to fewer CPUs than there
	// are and fills those.
	r.samples[CPU.index()] = higher(higher(s.hostCPU(now), own), process)
}

// higher returns the sample of the larger share: one thing that is full is enough.
// Without a there is none; b may be missing, and is 0 then.
func higher(a, b Sample) Sample {
	if a.Err == nil && b.Raw > a.Raw {
		return b
	}
	return a
}

func (s *Sampler) hostCPU(now patterns.Instant) Sample {
	busy, total, err := s.machine.times()
	if err != nil {
		return Sample{Err: err}
	}
	return s.cpu.host.sample(now, busy, total)
}

// processCPU is of the CPUs that the process is bound to. They bind nobody else in its
// group, whose usage would say nothing about them.
func (s *Sampler) processCPU(now patterns.Instant) Sample {
	if s.cpu.bound == 0 {
		return Sample{Err: ErrUnavailable}
	}
	spent, err := s.machine.process()
	if err != nil {
		return Sample{Err: err}
	}
	raw, ok := s.cpu.process.Sample(now, spent, float64(s.cpu.bound))
	if !ok {
		return Sample{Err: errFirst}
	}
	return share(now, raw, FromProcess)
}

// groupCPU reads the files of all levels once. limited says that one has a quota.
func (s *Sampler) groupCPU(now patterns.Instant, r *Reading) (used, throttled Sample, limited bool) {
	g := s.group
	if g.noCPU != nil {
		return Sample{Err: g.noCPU}, Sample{Err: g.noCPU}, false
	}
	var quotas [maxDepth]cgroup.Quota
	least := math.Inf(1)
	for i, l := range g.cpu {
		q, err := s.quota(l)
		if err != nil {
			s.failed(err)
			return Sample{Err: err}, Sample{Err: err}, false
		}
		quotas[i] = q
		if q.Limited() {
			limited = true
			least = min(least, q.Cores())
		}
	}
	used, throttled = Sample{Err: errFirst}, Sample{Err: errNoQuota}
	if limited {
		throttled.Err = errFirst
	}
	cpus, err := s.countCPUs()
	if cpus > 0 {
		least = min(least, float64(cpus))
	}
	switch {
	case err != nil:
		s.failed(err)
		used.Err = err
	case math.IsInf(least, 1):
		used.Err = errNoCPUs
	case r.CPULimit == 0 || least < r.CPULimit:
		r.CPULimit = least
	}
	for i, l := range g.cpu {
		q := quotas[i]
		cores := least
		if i > 0 {
			// What a group above uses, siblings included, of its own quota: the least of
			// the quotas is no help when a sibling has used it.
			cores = q.Cores()
		}
		u, t := s.cpuLevel(now, l, q, cores)
		used, throttled = merge(used, u), merge(throttled, t)
	}
	return used, throttled, limited
}

// merge returns the larger of two samples. One that failed could have been the larger;
// one that is still to come leaves the other.
func merge(a, b Sample) Sample {
	switch {
	case a.Err != nil && !errors.Is(a.Err, ErrPending):
		return a
	case b.Err != nil && !errors.Is(b.Err, ErrPending):
		return b
	case b.Err == nil && (a.Err != nil || b.Raw > a.Raw):
		return b
	}
	return a
}

// quota returns the zero Quota for a level without one.
func (s *Sampler) quota(l *cpuLevel) (cgroup.Quota, error) {
	if l.quota == nil {
		return cgroup.Quota{}, nil
	}
	text, err := s.read(l.quota)
	if err != nil {
		return cgroup.Quota{}, err
	}
	if !l.v1 {
		q, err := cgroup.ParseCPUMax(text)
		if err != nil {
			return q, l.quota.wrong(err)
		}
		return q, nil
	}
	var period []byte
	if l.period != nil {
		if period, err = l.period.read(s.fsys, s.spare); err != nil {
			return cgroup.Quota{}, err
		}
	}
	q, err := cgroup.ParseCFS(text, period)
	if err != nil {
		return q, l.quota.wrong(err)
	}
	return q, nil
}

// countCPUs returns how many the group may use, or else how many there are; 0 if nobody
// says.
func (s *Sampler) countCPUs() (int, error) {
	set := s.group.cpuset
	if set == nil {
		return s.cpu.cpus, nil
	}
	text, err := s.read(set)
	if err != nil {
		return 0, err
	}
	n, err := cgroup.CountCPUs(text)
	if err != nil {
		return 0, set.wrong(err)
	}
	if n == 0 { // not set, which means all; a group that has none has no process
		n = s.cpu.cpus
	}
	return n, nil
}

// cpuLevel is what one level used of cores, above 0 if it counts, and how often it ran
// out of its quota. Either is pending if it is not asked for.
func (s *Sampler) cpuLevel(now patterns.Instant, l *cpuLevel, q cgroup.Quota, cores float64) (used, throttled Sample) {
	used, throttled = Sample{Err: errFirst}, Sample{Err: errFirst}
	var text []byte // of the file that was read last
	var err error
	var last *file
	read := func(f *file) {
		if f != last { // v2 has both in one
			text, err = s.read(f)
			last = f
		}
		if err != nil {
			s.failed(err)
		}
	}
	switch {
	case !s.on.Has(CPU) || l.usage == nil:
	case !(cores > 0):
		l.meter = cgroup.Meter{} // not to compare with today when there is a quota again
	default:
		if read(l.usage); err != nil {
			used.Err = err
			break
		}
		used = l.used(now, text, cores)
	}
	switch {
	case !s.on.Has(Throttled) || l.stat == nil:
	case !q.Limited():
		l.throttle = cgroup.Throttle{}
	default:
		if read(l.stat); err != nil {
			throttled.Err = err
			break
		}
		throttled = l.throttled(now, text, q)
	}
	return used, throttled
}

func (l *cpuLevel) used(now patterns.Instant, text []byte, cores float64) Sample {
	var spent uint64
	var err error
	if l.v1 {
		spent, err = cgroup.Count(text)
	} else {
		spent, err = cgroup.Micros(text, "usage_usec")
	}
	if err != nil {
		return Sample{Err: l.usage.wrong(err)}
	}
	raw, ok := l.meter.Sample(now, spent, cores)
	if !ok {
		return Sample{Err: errFirst}
	}
	return share(now, raw, FromGroup)
}

func (l *cpuLevel) throttled(now patterns.Instant, text []byte, q cgroup.Quota) Sample {
	periods, err := cgroup.Stat(text, "nr_periods")
	if err != nil {
		return Sample{Err: l.stat.wrong(err)}
	}
	short, err := cgroup.Stat(text, "nr_throttled")
	if err != nil {
		return Sample{Err: l.stat.wrong(err)}
	}
	period := time.Duration(min(q.Period, math.MaxInt64/1000)) * time.Microsecond
	raw, ok := l.throttle.Sample(now, periods, short, period)
	if !ok {
		return Sample{Err: errFirst}
	}
	return share(now, raw, FromGroup)
}
