package loadshedder

import (
	"cmp"
	"errors"
	"fmt"
	"time"

	"github.com/bulwark-go/bulwark/patterns"
	"github.com/bulwark-go/bulwark/patterns/internal/faults"
)

// Config is the shedder's policy. The zero value is valid and means the defaults. A field
// left zero means its default.
type Config struct {
	// MaxInFlight is how many calls may run at once, from 1 to 4,194,304. A call counts
	// as its Request's Weight. Default 1000.
	MaxInFlight int
	// MaxQueue is how many callers may wait for a place, from 1 to 1,000,000, or NoQueue:
	// who finds none is shed. Default 500.
	MaxQueue int
	// MaxWait is how long a caller waits at most, if its context does not end sooner, or
	// Off. Who is expected to wait longer is shed at once. Default 1s.
	MaxWait time.Duration
	// QueueDelay sheds when waiting has become the rule: CoDel, PIE, or AnyDelay.
	// Default CoDel(5ms,100ms).
	QueueDelay Law
	// NewestFirst serves the newest of a priority first while the queue has not been
	// empty for 100 ms: under overload its caller is the one who still waits. Excludes
	// Fair. Default off.
	NewestFirst bool

	// CPU is the share of the processors that the process may use, in (0, 1], or Off.
	// Above it the lowest priorities are shed. Default 0.85.
	CPU float64
	// Memory is the same for its memory. Default 0.85.
	Memory float64
	// SchedulingLatency is how long the slowest hundredth of all goroutines may wait for a
	// processor, or Off. Default off.
	SchedulingLatency time.Duration
	// GC is the share of the process's CPU time that the garbage collector may take, in
	// (0, 1], or Off. Default off.
	GC float64

	// SampleInterval is how often these are measured, 10ms to 1m, or Off: then nothing
	// is but what Shedder.Observe is told. Default 250ms.
	SampleInterval time.Duration
	// Smoothing is the time constant of their moving averages, or Off. Default 1s.
	Smoothing time.Duration
	// RaiseAfter is how long an average must be above its threshold, or a Level be
	// higher, until it counts, 1ms or more. Default 500ms.
	RaiseAfter time.Duration
	// ClearAfter is how long it must be low until that counts, and how long nobody must
	// have been shed until the shedder has Recovered, 1ms or more. Default 2s.
	ClearAfter time.Duration
	// ClearBelow is what share of its threshold counts as low, in (0, 1). Default 0.9.
	ClearBelow float64
	// StaleAfter is how long a measurement holds, at least twice SampleInterval: one that
	// is older sheds nobody. Default 5s.
	StaleAfter time.Duration
	// Floor is how many requests per second are let through that would be shed by
	// measurements or Throttle, up to 1,000,000, so that recovery is seen; or Off.
	// Default 1.
	Floor float64

	// Throttle sheds when what is sent on is turned down: when, within ThrottleWindow,
	// more than Throttle calls came for each that did not end as patterns.Dropped; from
	// 1, or Off. Default off.
	Throttle float64
	// ThrottleWindow is what Throttle remembers, 1s to 1h. Default 2m0s.
	ThrottleWindow time.Duration

	// Fair sheds, within each priority, those keys first that got more than an equal
	// share of late, and has keys take turns in the queue. Default off.
	Fair bool
	// MaxKeys is how many keys Fair tells apart, from 1 to 1,000,000; all others count as
	// one. Default 10000.
	MaxKeys int

	// Mode is patterns.Strict or patterns.Leased: one message per permit, or permits in
	// bulk while nothing is wrong. Neither with Fair nor with Throttle is anything
	// leased. It is fixed while the shedder runs. Default Strict.
	Mode patterns.Mode
	// OnFailure is what callers get if the shedder's own actor fails for good:
	// patterns.FailOpen lets them through unguarded, patterns.FailClosed refuses them. It
	// is fixed while the shedder runs. Default FailOpen.
	OnFailure patterns.FailPolicy
}

const (
	// Off, in a field that is not off by default, is no limit.
	Off = -1
	// NoQueue, as MaxQueue, has nobody wait. It sheds nobody who finds a place.
	NoQueue = -1
)

const (
	maxInFlight = 1 << 22 // what the shell's ledger holds
	maxQueue    = 1_000_000
	maxKeys     = 1_000_000
	maxFloor    = 1_000_000
)

// withDefaults returns c with every zero field that has a default set to it.
func (c Config) withDefaults() Config {
	c.MaxInFlight = cmp.Or(c.MaxInFlight, 1000)
	c.MaxQueue = cmp.Or(c.MaxQueue, 500)
	c.MaxWait = cmp.Or(c.MaxWait, time.Second)
	c.QueueDelay = cmp.Or(c.QueueDelay, CoDel(5*time.Millisecond, 100*time.Millisecond))
	c.CPU = cmp.Or(c.CPU, 0.85)
	c.Memory = cmp.Or(c.Memory, 0.85)
	c.SchedulingLatency = cmp.Or(c.SchedulingLatency, Off)
	c.GC = cmp.Or(c.GC, Off)
	c.SampleInterval = cmp.Or(c.SampleInterval, 250*time.Millisecond)
	c.Smoothing = cmp.Or(c.Smoothing, time.Second)
	c.RaiseAfter = cmp.Or(c.RaiseAfter, 500*time.Millisecond)
	c.ClearAfter = cmp.Or(c.ClearAfter, 2*time.Second)
	c.ClearBelow = cmp.Or(c.ClearBelow, 0.9)
	c.StaleAfter = cmp.Or(c.StaleAfter, max(5*time.Second, 2*c.SampleInterval))
	c.Floor = cmp.Or(c.Floor, 1)
	c.Throttle = cmp.Or(c.Throttle, Off)
	c.ThrottleWindow = cmp.Or(c.ThrottleWindow, 2*time.Minute)
	c.MaxKeys = cmp.Or(c.MaxKeys, 10_000)
	return c
}

// Validate returns every fault of c, each a *patterns.ConfigError, or nil.
func (c Config) Validate() error {
	f := faults.Of("loadshedder")
	d, std := c.withDefaults(), Config{}.withDefaults()
	f.Check(d.MaxInFlight >= 1 && d.MaxInFlight <= maxInFlight, "MaxInFlight", c.MaxInFlight,
		fmt.Sprintf("must be from 1 to %d", maxInFlight))
	c.checkQueue(f, &d, &std)
	c.checkSignals(f, &d)
	f.Check(d.Floor == Off || d.Floor > 0 && d.Floor <= maxFloor, "Floor", c.Floor, fmt.Sprintf("must be above 0, up to %d, or Off", maxFloor))
	f.Check(d.Throttle == Off || d.Throttle >= 1 && d.Throttle <= maxFloor, "Throttle", c.Throttle, "must be 1 or more, or Off")
	f.Check(d.ThrottleWindow >= time.Second && d.ThrottleWindow <= time.Hour, "ThrottleWindow", c.ThrottleWindow, "must be from 1s to 1h")
	f.Check(d.ThrottleWindow == std.ThrottleWindow || d.Throttle != Off, "ThrottleWindow", c.ThrottleWindow, "needs Throttle")
	f.Check(d.MaxKeys >= 1 && d.MaxKeys <= maxKeys, "MaxKeys", c.MaxKeys, fmt.Sprintf("must be from 1 to %d", maxKeys))
	f.Check(d.MaxKeys == std.MaxKeys || c.Fair, "MaxKeys", c.MaxKeys, "needs Fair")
	f.Common(c.Mode, c.OnFailure)
	return f.Err()
}

func (c Config) checkQueue(f *faults.Faults, d, std *Config) {
	f.Check(d.MaxQueue == NoQueue || d.MaxQueue >= 1 && d.MaxQueue <= maxQueue, "MaxQueue", c.MaxQueue,
		fmt.Sprintf("must be from 1 to %d, or NoQueue", maxQueue))
	f.Check(d.MaxWait == Off || d.MaxWait > 0, "MaxWait", c.MaxWait, "must be above 0, or Off")
	f.Check(d.MaxWait == std.MaxWait || d.MaxWait == Off || d.MaxQueue != NoQueue, "MaxWait", c.MaxWait, "needs a queue")
	if problem := d.QueueDelay.problem(); problem != "" {
		f.Check(false, "QueueDelay", c.QueueDelay, problem)
	}
	f.Check(!c.NewestFirst || d.MaxQueue != NoQueue, "NewestFirst", c.NewestFirst, "needs a queue")
	f.Check(!c.NewestFirst || !c.Fair, "NewestFirst", c.NewestFirst, "excludes Fair, in which keys take turns")
}

func (c Config) checkSignals(f *faults.Faults, d *Config) {
	share := func(v float64) bool { return v == Off || v > 0 && v <= 1 }
	f.Check(share(d.CPU), "CPU", c.CPU, "must be in (0, 1], or Off")
	f.Check(share(d.Memory), "Memory", c.Memory, "must be in (0, 1], or Off")
	f.Check(d.SchedulingLatency == Off || d.SchedulingLatency > 0, "SchedulingLatency", c.SchedulingLatency, "must be above 0, or Off")
	f.Check(share(d.GC), "GC", c.GC, "must be in (0, 1], or Off")
	f.Check(d.SampleInterval == Off || d.SampleInterval >= 10*time.Millisecond && d.SampleInterval <= time.Minute,
		"SampleInterval", c.SampleInterval, "must be from 10ms to 1m, or Off")
	f.Check(d.Smoothing == Off || d.Smoothing > 0, "Smoothing", c.Smoothing, "must be above 0, or Off")
	f.Check(d.RaiseAfter >= time.Millisecond, "RaiseAfter", c.RaiseAfter, "must be 1ms or more")
	f.Check(d.ClearAfter >= time.Millisecond, "ClearAfter", c.ClearAfter, "must be 1ms or more")
	f.Check(d.ClearBelow > 0 && d.ClearBelow < 1, "ClearBelow", c.ClearBelow, "must be in (0, 1)")
	f.Check(d.StaleAfter >= 2*d.SampleInterval && d.StaleAfter > 0, "StaleAfter", c.StaleAfter, "must be at least twice SampleInterval")
}

// successor validates next, which is to replace c in a shedder that runs: what callers
// hold was made for c's Mode and OnFailure.
func (c Config) successor(next Config) error {
	f := faults.Of("loadshedder")
	f.Fixed("shedder", "Mode", c.Mode, next.Mode)
	f.Fixed("shedder", "OnFailure", c.OnFailure, next.OnFailure)
	return errors.Join(f.Err(), next.Validate())
}

// thresholds are those of the signals, Off where a signal is.
func (c *Config) thresholds() [signals]float64 {
	t := [signals]float64{CPU: c.CPU, Memory: c.Memory, SchedulingLatency: Off, GC: c.GC}
	if c.SchedulingLatency != Off {
		t[SchedulingLatency] = c.SchedulingLatency.Seconds()
	}
	return t
}
