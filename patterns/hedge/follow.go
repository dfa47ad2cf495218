package hedge

import (
	"time"

	"github.com/bulwark-go/bulwark/patterns"
	"github.com/bulwark-go/bulwark/patterns/internal/digest"
	"github.com/bulwark-go/bulwark/patterns/internal/latency"
)

// looks is how often the delay is looked at in a Window, though there are no calls: what it
// was made of is forgotten.
const looks = 4

// adopt takes over a Config with its defaults, and keeps what was learned.
func (m *Machine) adopt(c Config) {
	m.cfg = c
	if c.Quantile == 0 {
		m.first, m.review = nil, patterns.Never
		return
	}
	rules := latency.HedgeConfig{
		Quantile: c.Quantile, Min: c.Min, Max: c.Max, Initial: c.Delay, Window: c.Window, MinSamples: c.MinSamples,
	}
	if m.first == nil {
		m.first = new(latency.NewHedge(rules))
		m.review = patterns.Never
		return
	}
	m.first.Reconfigure(m.hi, rules)
}

// delay is how long a call waits that begins now.
func (m *Machine) delay() time.Duration {
	if m.first == nil {
		return m.cfg.Delay
	}
	return m.first.Delay(m.hi)
}

// learn counts first attempts that were answered.
func (m *Machine) learn(took []time.Duration) {
	if m.first == nil {
		return
	}
	for _, d := range took {
		m.first.Succeeded(m.hi, d)
	}
	m.follow()
}

// outrun counts a first attempt that was given up after d; 0 is none.
func (m *Machine) outrun(d time.Duration) {
	if m.first != nil && d > 0 {
		m.first.Outrun(m.hi, d)
		m.follow()
	}
}

// follow decides on a delay, and when to look again.
func (m *Machine) follow() {
	m.decide()
	m.review = patterns.Never
	if m.first != nil && m.plan.delay != m.cfg.Delay {
		m.review = m.hi.Add(m.cfg.Window / looks)
	}
	now, was := m.plan.delay, m.said
	switch {
	case now < was+was/10 && now > was-was/10:
		return
	case m.hi < m.spoken:
		m.review = min(m.review, m.spoken)
		return
	}
	m.said, m.spoken = now, m.hi.Add(digest.Every)
	m.tell(DelayChanged{Name: m.name, From: was, To: now, At: m.wall(m.hi)})
}
