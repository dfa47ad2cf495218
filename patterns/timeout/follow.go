package timeout

import (
	"time"

	"github.com/bulwark-go/bulwark/patterns"
	"github.com/bulwark-go/bulwark/patterns/internal/digest"
	"github.com/bulwark-go/bulwark/patterns/internal/latency"
	"github.com/bulwark-go/bulwark/patterns/internal/samples"
)

// looks is how often the limit is looked at in a Window, though there are no calls: what it
// was made of is forgotten.
const looks = 4

// adopt takes over a Config with its defaults, and keeps what was learned.
func (m *Machine) adopt(c Config) {
	m.cfg = c
	if c.Quantile == 0 {
		m.latest, m.review = nil, patterns.Never
		return
	}
	rules := latency.TimeoutConfig{
		Quantile: c.Quantile, Factor: c.Factor, Min: c.Min, Max: c.Max, Initial: c.PerAttempt,
		Window: c.Window, MinSamples: c.MinSamples,
	}
	if m.latest == nil {
		m.latest = new(latency.NewTimeout(rules))
		m.review = patterns.Never
		return
	}
	m.latest.Reconfigure(m.hi, rules)
}

// limit is how long a call may take that begins now.
func (m *Machine) limit() time.Duration {
	if m.latest == nil {
		return m.cfg.PerAttempt
	}
	return m.latest.Value(m.hi)
}

// learn counts calls that succeeded.
func (m *Machine) learn(b *samples.Batch) {
	if m.latest == nil {
		return
	}
	for _, took := range b.All() {
		m.latest.Succeeded(m.hi, took)
	}
	m.follow()
}

// exceeded counts a call that did not end within the limit.
func (m *Machine) exceeded(limit time.Duration) {
	if m.latest != nil {
		m.latest.Expired(m.hi, limit)
		m.follow()
	}
}

// follow decides on a limit, and when to look again.
func (m *Machine) follow() {
	m.decide()
	m.review = patterns.Never
	if m.latest != nil && m.plan.limit != m.cfg.PerAttempt {
		m.review = m.hi.Add(m.cfg.Window / looks)
	}
	now, was := m.plan.limit, m.said
	switch {
	case now < was+was/10 && now > was-was/10:
		return
	case m.hi < m.spoken:
		m.review = min(m.review, m.spoken)
		return
	}
	m.said, m.spoken = now, m.hi.Add(digest.Every)
	m.tell(LimitChanged{Name: m.name, From: was, To: now, At: m.wall(m.hi)})
}
