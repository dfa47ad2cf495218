package adaptive

import (
	"time"

	"github.com/bulwark-go/bulwark/patterns"
	"github.com/bulwark-go/bulwark/patterns/internal/faults"
)

// AIMD adds a little while all is well and cuts by a share when a call is lost: the
// rule of TCP. It knows no latency but Timeout, so that it fills whatever queue the
// dependency has. Netflix concurrency-limits, AIMDLimit.
type AIMD struct {
	// Increase is what a good sample adds, above 0. Default 1.
	Increase float64
	// Backoff is what a bad one multiplies by, in (0, 1). Default 0.9.
	Backoff float64
	// Timeout is the latency above which a call counts as lost. Default 5s.
	Timeout time.Duration
	// Window, if set, judges that many samples at a time by the share of good ones:
	// above SuccessRatio adds, below FailureRatio cuts. Default 0: each by itself.
	Window int
	// SuccessRatio is in (0, 1]. Default 0.95.
	SuccessRatio float64
	// FailureRatio is in (0, SuccessRatio). Default 0.8.
	FailureRatio float64
	// PerFlight cuts once for all the calls that were in flight at a cut, however many of
	// them are lost: what began before it says nothing about the limit after it.
	// Default off.
	PerFlight bool
}

func (a AIMD) withDefaults() AIMD {
	orDefault(&a.Increase, 1)
	orDefault(&a.Backoff, 0.9)
	orDefault(&a.Timeout, 5*time.Second)
	orDefault(&a.SuccessRatio, 0.95)
	orDefault(&a.FailureRatio, 0.8)
	return a
}

func (a AIMD) String() string { return "aimd" }

// New returns a Limit that begins at b.Initial.
func (a AIMD) New(b Bounds) Limit {
	return b.healthy(&aimd{cfg: a.withDefaults(), bounds: b, limit: float64(b.Initial)})
}

func (a AIMD) complain(f *faults.Faults) {
	d := a.withDefaults()
	f.Check(d.Increase > 0 && d.Increase <= maxLimit, "AIMD.Increase", a.Increase, "must be above 0, and no more than a limit may be")
	f.Check(d.Backoff > 0 && d.Backoff < 1, "AIMD.Backoff", a.Backoff, "must be in (0, 1)")
	f.Check(d.Timeout > 0, "AIMD.Timeout", a.Timeout, "must not be negative")
	f.Check(d.Window >= 0, "AIMD.Window", a.Window, "must not be negative")
	f.Check(d.SuccessRatio > 0 && d.SuccessRatio <= 1, "AIMD.SuccessRatio", a.SuccessRatio, "must be in (0, 1]")
	f.Check(d.FailureRatio > 0 && d.FailureRatio < d.SuccessRatio, "AIMD.FailureRatio", a.FailureRatio, "must be in (0, SuccessRatio)")
}

type aimd struct {
	cfg       AIMD
	bounds    Bounds
	limit     float64 // whole after each cut
	good, bad int     // of the current window
	used      bool    // the window saw the limit half used
	cut       patterns.Instant
}

func (l *aimd) Observe(s Sample) int {
	bad := s.Dropped || s.RTT > l.cfg.Timeout
	used := float64(s.InFlight)*2 >= l.limit
	if bad && l.cfg.PerFlight && l.cut != 0 && s.began() < l.cut {
		return int(l.limit)
	}
	if l.cfg.Window == 0 {
		l.step(s.Now, !bad && used, bad)
		return int(l.limit)
	}
	l.used = l.used || used
	if bad {
		l.bad++
	} else {
		l.good++
	}
	if n := l.good + l.bad; n >= l.cfg.Window {
		share := float64(l.good) / float64(n)
		l.step(s.Now, l.used && share > l.cfg.SuccessRatio, share < l.cfg.FailureRatio)
		l.good, l.bad, l.used = 0, 0, false
	}
	return int(l.limit)
}

func (l *aimd) step(now patterns.Instant, grow, cut bool) {
	switch {
	case cut:
		l.cut = max(now, 1)
		l.limit = float64(int(l.limit * l.cfg.Backoff))
	case grow:
		l.limit += l.cfg.Increase
	}
	l.limit = l.bounds.clamp(l.limit)
}

func (l *aimd) Estimate() float64 { return l.limit }

func (l *aimd) Set(b Bounds, x float64) { l.bounds, l.limit = b, b.clamp(x) }
