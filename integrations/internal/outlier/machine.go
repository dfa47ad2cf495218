package outlier

import (
	"math"
	"time"
)

// Machine is the state of several hosts, which are numbers from 0. It is for one goroutine at a
// time. now is the time since some origin; one that goes back stands still.
type Machine struct {
	cfg   Config
	hosts []host
	now   time.Duration
	sweep time.Duration // when the next one is due
	turn  int           // whose it is, of those with as much to do
	out   int           // how many are ejected
}

// host is what is known of one.
type host struct {
	inFlight int
	epoch    uint64 // how often it was ejected
	ejected  bool
	since    time.Duration // it was ejected
	times    int           // EjectFor, as its next ejection has it, less one
	row      int           // failures in a row
	requests int           // that have ended since the last sweep
	good     int           // of those
	total    uint64
	failed   uint64 // of those
}

// Ticket is one request to one host.
type Ticket struct {
	Host  int
	epoch uint64
}

// Outcome is how a request ended.
type Outcome uint8

// Good and Bad count; Unknown, such as that of a caller who left, does not.
const (
	Good Outcome = iota
	Bad
	Unknown
)

// New returns a Machine of n hosts, 1 or more. cfg has no Faults.
func New(n int, cfg Config) *Machine {
	cfg = cfg.WithDefaults()
	return &Machine{cfg: cfg, hosts: make([]host, n), sweep: cfg.Interval}
}

// Pick chooses the host of a request: of those in use the one with the fewest requests under
// way, in turn if there are several. avoid, which may be nil, says which ones to take only if
// there are no others.
func (m *Machine) Pick(now time.Duration, avoid func(host int) bool) Ticket {
	m.tick(now)
	best := -1
	for _, choosy := range []bool{avoid != nil, false} {
		for i := range m.hosts {
			at := (m.turn + i) % len(m.hosts)
			h := &m.hosts[at]
			if h.ejected || choosy && avoid(at) {
				continue
			}
			if best < 0 || h.inFlight < m.hosts[best].inFlight {
				best = at
			}
		}
		if best >= 0 {
			break
		}
	}
	m.turn = (best + 1) % len(m.hosts)
	m.hosts[best].inFlight++
	return Ticket{Host: best, epoch: m.hosts[best].epoch}
}

// Report says how a request ended, once for each Ticket.
func (m *Machine) Report(now time.Duration, t Ticket, o Outcome) {
	m.tick(now)
	h := &m.hosts[t.Host]
	h.inFlight--
	if o == Unknown {
		return
	}
	h.total++
	if o == Bad {
		h.failed++
	}
	if h.ejected || t.epoch != h.epoch { // it tells what is known, or was once
		return
	}
	h.requests++
	if o == Good {
		h.good++
		h.row = 0
		return
	}
	if h.row++; h.row >= m.cfg.Consecutive {
		m.eject(h)
	}
}

// tick does what is due.
func (m *Machine) tick(now time.Duration) {
	m.now = max(m.now, now)
	for i := range m.hosts {
		if h := &m.hosts[i]; h.ejected && m.until(h) <= m.now {
			h.ejected = false
			h.row, h.requests, h.good = 0, 0, 0
			m.out--
		}
	}
	if m.now < m.sweep {
		return
	}
	sweeps := int((m.now-m.sweep)/m.cfg.Interval) + 1
	m.sweep += time.Duration(sweeps) * m.cfg.Interval
	for i := range m.hosts {
		if h := &m.hosts[i]; !h.ejected {
			h.times = max(0, h.times-sweeps)
		}
	}
	m.compare()
}

// compare ejects the hosts that have fewer successes than the others.
func (m *Machine) compare() {
	limit, ok := m.threshold()
	for i := range m.hosts {
		h := &m.hosts[i]
		if ok && !h.ejected && h.requests >= m.cfg.MinRequests && h.rate() < limit {
			m.eject(h)
		}
		h.requests, h.good = 0, 0
	}
}

// threshold is the share of successes, in percent, below which a host is an outlier: the mean
// of all, less some standard deviations of theirs.
func (m *Machine) threshold() (limit float64, ok bool) {
	n, sum := 0, 0.0
	for i := range m.hosts {
		if h := &m.hosts[i]; h.requests >= m.cfg.MinRequests {
			n++
			sum += h.rate()
		}
	}
	if n < m.cfg.MinHosts {
		return 0, false
	}
	mean, squares := sum/float64(n), 0.0
	for i := range m.hosts {
		if h := &m.hosts[i]; h.requests >= m.cfg.MinRequests {
			squares += (h.rate() - mean) * (h.rate() - mean)
		}
	}
	return mean - m.cfg.Deviations*math.Sqrt(squares/float64(n)), true
}

func (h *host) rate() float64 { return 100 * float64(h.good) / float64(h.requests) }

// eject keeps h out, unless too many are.
func (m *Machine) eject(h *host) {
	if most := max(1, int(m.cfg.MaxEjected*float64(len(m.hosts)))); m.out >= min(most, len(m.hosts)-1) {
		return
	}
	h.ejected, h.since = true, m.now
	h.epoch++
	m.out++
	if time.Duration(h.times)*m.cfg.EjectFor < m.cfg.MaxEjectFor {
		h.times++
	}
}

// until is when h comes back.
func (m *Machine) until(h *host) time.Duration {
	return h.since + min(time.Duration(h.times)*m.cfg.EjectFor, m.cfg.MaxEjectFor)
}

// State is what is known of a host.
type State struct {
	InFlight  int
	Ejected   bool
	Remaining time.Duration // until it comes back; 0 if it is in use
	Ejections uint64
	Requests  uint64 // that have ended, but for those that say nothing
	Failures  uint64 // of those
}

// Of returns the state of a host.
func (m *Machine) Of(now time.Duration, i int) State {
	m.tick(now)
	h := &m.hosts[i]
	s := State{InFlight: h.inFlight, Ejected: h.ejected, Ejections: h.epoch, Requests: h.total, Failures: h.failed}
	if h.ejected {
		s.Remaining = m.until(h) - m.now
	}
	return s
}
