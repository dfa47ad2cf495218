package loadshedder

import "github.com/bulwark-go/bulwark/patterns"

// Consult takes an Observation and answers with a Sampling.
func (m *Machine) Consult(now patterns.Instant, question any) patterns.Consultation {
	o, ok := question.(Observation)
	if !ok {
		return patterns.Consultation{}
	}
	m.settle(now)
	m.observe(&o)
	s := Sampling{Interval: m.cfg.SampleInterval}
	for i := range s.Signals {
		s.Signals[i] = m.signals[i].threshold != Off
	}
	return patterns.Consultation{Answer: s, Dirty: m.flush()}
}
