package sampler

import (
	"errors"
	"fmt"
	"math"

	"github.com/bulwark-go/bulwark/patterns"
	"github.com/bulwark-go/bulwark/patterns/internal/cgroup"
)

// readPressure sets the signals that come from pressure stall information. The kernel's
// own averages are over 10 s at least; these are over the time between two Reads.
func (s *Sampler) readPressure(now patterns.Instant, r *Reading) {
	for i, of := range [...]struct{ some, full Signal }{{CPUPressure, 0}, {MemoryPressure, MemoryStall}, {IOPressure, IOStall}} {
		wanted := s.on & (of.some | of.full)
		if wanted == 0 {
			continue
		}
		some, full := s.stalls(now, &s.group.psi[i])
		if wanted.Has(of.some) {
			r.samples[of.some.index()] = some
		}
		if of.full != 0 && wanted.Has(of.full) {
			r.samples[of.full.index()] = full
		}
	}
}

func (s *Sampler) stalls(now patterns.Instant, p *stalls) (some, full Sample) {
	psi, err := s.psi(p)
	if err != nil {
		return Sample{Err: err}, Sample{Err: err}
	}
	some = p.share(now, &p.some, psi.Some)
	full = Sample{Err: errNoFull}
	if psi.HasFull {
		full = p.share(now, &p.full, psi.Full)
	}
	return some, full
}

func (s *Sampler) psi(p *stalls) (cgroup.PSI, error) {
	if p.file == nil {
		return cgroup.PSI{}, errNoPSI
	}
	text, err := s.read(p.file)
	if err != nil {
		if errors.Is(err, errors.ErrUnsupported) { // it was switched off
			return cgroup.PSI{}, fmt.Errorf("%w: %w", ErrUnavailable, err)
		}
		s.failed(err)
		return cgroup.PSI{}, err
	}
	psi, err := cgroup.ParsePSI(text)
	if err == nil && max(psi.Some.Total, psi.Full.Total) > math.MaxUint64/1000 {
		err = errors.New("a total out of range")
	}
	if err != nil {
		return psi, p.file.wrong(err)
	}
	return psi, nil
}

func (p *stalls) share(now patterns.Instant, m *cgroup.Meter, stall cgroup.Stall) Sample {
	raw, ok := m.Sample(now, stall.Total*1000, 1)
	if !ok {
		return Sample{Err: errFirst}
	}
	return share(now, raw, p.from)
}
