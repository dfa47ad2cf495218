package outlier

import (
	"cmp"
	"fmt"
	"log/slog"
	"math"
	"time"

	"github.com/bulwark-go/bulwark/patterns"
	"github.com/bulwark-go/bulwark/patterns/internal/faults"
)

// Config is who the members are, and when one is ejected. Only Members must be set. A field
// left zero means its default. What a failure is is the Judge's business: see actors.WithJudge.
type Config struct {
	// Members are those that calls are spread over, from 1 to 1,000. A Reconfigure may change
	// them: of those that stay, what is known is kept. Default none: they must be given.
	Members Members

	// Consecutive is how many failures in a row eject a member, from 1 to 1,000,000. Default 5.
	Consecutive int

	// EjectFor is how long a member is ejected the first time, and how much longer each time
	// after that, from 1 ms to 24 h. An Interval that finds it in use makes that one time less.
	// Default 30s.
	EjectFor time.Duration

	// MaxEjectFor bounds that, from EjectFor to 24 h. Default 5m, or EjectFor if that is more.
	MaxEjectFor time.Duration

	// MaxEjected is the share of members that may be ejected, above 0 and up to 1. One may be in
	// any case, if there is another, and the last one never is. Default 0.5.
	MaxEjected float64

	// Interval is how often members are compared with each other, from 1 ms to 24 h. Default 10s.
	Interval time.Duration

	// Deviations is how far below the mean of all a member's share of successes must be for it
	// to be ejected, in standard deviations, above 0 and up to 1,000. Default 1.9.
	Deviations float64

	// MinMembers is how many members must have had MinRequests in an Interval, or none is
	// compared, from 2 to 1,000. Default 5.
	MinMembers int

	// MinRequests is how many requests a member must have had in an Interval to be compared,
	// from 1 to 1,000,000. Default 100.
	MinRequests int

	// OnFailure is what callers get if the ejector's own actor fails for good:
	// patterns.FailOpen goes on by the list that it gave last, from which nobody is missing once
	// their time is up; patterns.FailClosed refuses. It is fixed while the ejector runs. Default
	// FailOpen.
	OnFailure patterns.FailPolicy
}

const (
	// pattern is what errors of the Config call it.
	pattern = "outlier"

	maxMembers    = 1000
	maxNumber     = 1_000_000
	minTime       = time.Millisecond
	maxTime       = 24 * time.Hour
	maxDeviations = 1000
)

// withDefaults returns c with every zero field that has a default set to it.
func (c Config) withDefaults() Config {
	c.Consecutive = cmp.Or(c.Consecutive, 5)
	c.EjectFor = cmp.Or(c.EjectFor, 30*time.Second)
	c.MaxEjectFor = cmp.Or(c.MaxEjectFor, max(5*time.Minute, c.EjectFor))
	c.MaxEjected = cmp.Or(c.MaxEjected, 0.5)
	c.Interval = cmp.Or(c.Interval, 10*time.Second)
	c.Deviations = cmp.Or(c.Deviations, 1.9)
	c.MinMembers = cmp.Or(c.MinMembers, 5)
	c.MinRequests = cmp.Or(c.MinRequests, 100)
	return c
}

// Validate returns every fault of c as a *patterns.ConfigError, joined, or nil.
func (c Config) Validate() error {
	f := faults.Of(pattern)
	c.check(f)
	return f.Err()
}

func (c Config) check(f *faults.Faults) {
	if problem := c.Members.fault(); problem != "" {
		f.Check(false, "Members", len(c.Members.Names()), problem)
	}
	d := c.withDefaults()
	whole := func(field string, n, least, most int) {
		f.Check(n >= least && n <= most, field, n, fmt.Sprintf("must be from %d to %d", least, most))
	}
	lasting := func(field string, t time.Duration) {
		f.Check(t >= minTime && t <= maxTime, field, t, fmt.Sprintf("must be from %v to %v", minTime, maxTime))
	}
	whole("Consecutive", d.Consecutive, 1, maxNumber)
	lasting("EjectFor", d.EjectFor)
	lasting("MaxEjectFor", d.MaxEjectFor)
	f.Check(d.MaxEjectFor >= d.EjectFor, "MaxEjectFor", d.MaxEjectFor, fmt.Sprintf("is below EjectFor, %v", d.EjectFor))
	f.Check(d.MaxEjected > 0 && d.MaxEjected <= 1, "MaxEjected", d.MaxEjected, "must be above 0 and up to 1")
	lasting("Interval", d.Interval)
	f.Check(d.Deviations > 0 && d.Deviations <= maxDeviations && !math.IsNaN(d.Deviations), "Deviations", d.Deviations,
		fmt.Sprintf("must be above 0 and up to %d", maxDeviations))
	whole("MinMembers", d.MinMembers, 2, maxMembers)
	whole("MinRequests", d.MinRequests, 1, maxNumber)
	f.Check(c.OnFailure.Valid(), "OnFailure", c.OnFailure, "must be FailOpen or FailClosed")
}

// successor validates next, which is to replace c in an ejector that runs.
func (c Config) successor(next Config) error {
	f := faults.Of(pattern)
	f.Fixed("ejector", "OnFailure", c.OnFailure, next.OnFailure)
	next.check(f)
	return f.Err()
}

// LogValue returns c as a group.
func (c Config) LogValue() slog.Value {
	return slog.GroupValue(
		slog.String("members", c.Members.String()), slog.Int("consecutive", c.Consecutive), slog.Duration("eject_for", c.EjectFor),
		slog.Duration("max_eject_for", c.MaxEjectFor), slog.Float64("max_ejected", c.MaxEjected), slog.Duration("interval", c.Interval),
		slog.Float64("deviations", c.Deviations), slog.Int("min_members", c.MinMembers), slog.Int("min_requests", c.MinRequests),
	)
}
