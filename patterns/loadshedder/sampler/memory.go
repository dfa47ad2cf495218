package sampler

import (
	"errors"
	"math"

	"github.com/bulwark-go/bulwark/patterns"
	"github.com/bulwark-go/bulwark/patterns/internal/cgroup"
)

// readMemory sets Memory, and what it is about.
func (s *Sampler) readMemory(now patterns.Instant, r *Reading) {
	r.samples[Memory.index()] = s.memory(now, r)
}

func (s *Sampler) memory(now patterns.Instant, r *Reading) Sample {
	if s.opts.Scope == Host {
		return s.hostMemory(now, r)
	}
	if err := s.group.noMemory; err != nil {
		if s.opts.Scope == Group || !errors.Is(err, ErrUnavailable) {
			return Sample{Err: err}
		}
		return s.hostMemory(now, r)
	}
	sample, limited, err := s.groupMemory(now, r)
	switch {
	case err != nil:
		s.failed(err)
		return Sample{Err: err}
	case !limited && s.opts.Scope == Auto:
		return s.hostMemory(now, r)
	}
	return sample
}

func (s *Sampler) hostMemory(now patterns.Instant, r *Reading) Sample {
	used, total, err := s.machine.memory()
	if err != nil {
		return Sample{Err: err}
	}
	r.MemoryUsed, r.MemoryLimit = used, total
	return share(now, cgroup.Full(used, total), FromHost)
}

// unlimited is more than any machine has, and less than what kernels write for no limit.
const unlimited = math.MaxInt64 >> 1

// groupMemory returns the fullest of the group and those above it that have a limit.
func (s *Sampler) groupMemory(now patterns.Instant, r *Reading) (sample Sample, limited bool, err error) {
	host := uint64(unlimited)
	if s.total > 0 {
		host = s.total
	}
	var limits [maxDepth]uint64
	levels, least := s.group.memory, host
	for i, l := range levels {
		if limits[i], err = s.memoryLimit(l, host); err != nil {
			return Sample{}, false, err
		}
		least = min(least, limits[i])
	}
	if least == host && !levels[0].v1 && s.opts.Scope == Auto {
		return Sample{}, false, nil // not needed, and memory.stat is dear
	}
	own, above, err := s.memoryUsed(levels[0])
	if err != nil {
		return Sample{}, false, err
	}
	least = min(least, above)
	if least == host && s.total == 0 {
		return Sample{Err: errNoTotal}, false, nil
	}
	fullest := cgroup.Full(own, least)
	for i, l := range levels[1:] {
		// Siblings included, and of its own limit: see groupCPU.
		if limit := limits[i+1]; limit < host && l.current != nil && l.stat != nil {
			used, _, err := s.memoryUsed(l)
			if err != nil {
				return Sample{}, false, err
			}
			fullest = max(fullest, cgroup.Full(used, limit))
		}
	}
	r.MemoryUsed, r.MemoryLimit = own, least
	return share(now, fullest, FromGroup), least < host, nil
}

// memoryLimit returns host if there is none.
func (s *Sampler) memoryLimit(l *memoryLevel, host uint64) (uint64, error) {
	least := host
	for _, f := range [...]*file{l.limit, l.soft} {
		if f == nil {
			continue
		}
		text, err := s.read(f)
		if err != nil {
			return 0, err
		}
		limit, _, err := cgroup.MemoryLimit(text, host)
		if err != nil {
			return 0, f.wrong(err)
		}
		least = min(least, limit)
	}
	return least, nil
}

// memoryUsed returns a level's working set. v1 also says the least of the limits above
// it, even of those that cannot be seen from within a container.
func (s *Sampler) memoryUsed(l *memoryLevel) (used, limit uint64, err error) {
	text, err := s.read(l.current)
	if err != nil {
		return 0, 0, err
	}
	current, err := cgroup.Count(text)
	if err != nil {
		return 0, 0, l.current.wrong(err)
	}
	if text, err = s.read(l.stat); err != nil {
		return 0, 0, err
	}
	key := "inactive_file"
	if l.v1 {
		key = "total_inactive_file"
	}
	inactive, err := cgroup.Stat(text, key)
	if err != nil {
		return 0, 0, l.stat.wrong(err)
	}
	limit = math.MaxUint64
	if l.v1 {
		if above, err := cgroup.Stat(text, "hierarchical_memory_limit"); err == nil {
			limit = above
		}
	}
	return cgroup.WorkingSet(current, inactive), limit, nil
}
