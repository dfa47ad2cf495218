package loadshedder

import (
	"errors"
	"testing"
	"time"

	"github.com/bulwark-go/bulwark/patterns"
	"github.com/bulwark-go/bulwark/patterns/internal/machinetest"
)

// dependency takes so many a second; the others are turned down at once.
type dependency struct {
	*host
	labels int
	free   float64 // of its capacity
}

func (d *dependency) second(rate, capacity int, of ...patterns.Priority) (shed map[patterns.Priority]int) {
	shed = map[patterns.Priority]int{}
	for i := range rate {
		d.Pass(sec / time.Duration(rate))
		p := of[i%len(of)]
		d.free = min(d.free+float64(capacity)/float64(rate), 5)
		d.labels++
		got, err := d.Acquire(d.labels, patterns.Request{Priority: p})
		if got == machinetest.Rejected {
			if causeOf(err) == CauseThrottle {
				shed[p]++
			}
			continue
		}
		if d.free >= 1 {
			d.free--
			d.End(d.labels, patterns.Success)
		} else {
			d.End(d.labels, patterns.Dropped)
		}
	}
	return shed
}

var throttling = with(door, func(c *Config) { c.MaxInFlight, c.Throttle, c.ThrottleWindow, c.Floor = 100, 2, 10*sec, Off })

func TestWhatIsTurnedDownIsSentLess(t *testing.T) {
	d := &dependency{host: newHost(t, throttling)}
	for range 10 {
		if shed := d.second(200, 200, patterns.Normal); len(shed) != 0 {
			t.Fatalf("shed %v of what was accepted", shed)
		}
	}
	for range 10 {
		if shed := d.second(200, 120, patterns.Normal); len(shed) != 0 {
			t.Fatalf("shed %v though more than half was accepted", shed)
		}
	}
	for range 30 {
		d.second(200, 5, patterns.Normal)
	}
	s := d.M.Snapshot(d.Now, patterns.Counts{})
	if s.Throttled < 0.85 || s.Throttled > throttleMost || s.Shed.Throttle == 0 || s.Shed.Total() != s.Shed.Throttle || !s.Shedding {
		t.Errorf("%+v", s)
	}
	for range 30 {
		d.second(200, 200, patterns.Normal)
	}
	if shed := d.second(200, 200, patterns.Normal); len(shed) != 0 {
		t.Errorf("still shed: %v", shed)
	}
}

func TestThrottleShedsTheLowestFirstAndSaysWhy(t *testing.T) {
	d := &dependency{host: newHost(t, throttling)}
	for range 20 {
		d.second(200, 60, patterns.Low, patterns.High)
	}
	// Twice of 60 are sent.
	shed := d.second(200, 60, patterns.Low, patterns.High)
	if shed[patterns.Low] < 70 || shed[patterns.Low] > 90 || shed[patterns.High] != 0 {
		t.Errorf("shed %v", shed)
	}
	for range 50 {
		d.labels++
		if _, err := d.Acquire(d.labels, patterns.Request{Priority: patterns.Low}); err != nil {
			e, _ := errors.AsType[*ShedError](err)
			if e.Cause != CauseThrottle || e.Value <= 0.3 || e.Value > 0.5 || e.After != d.M.cfg.ClearAfter {
				t.Errorf("%+v", e)
			}
			return
		}
	}
	t.Error("nobody is shed")
}

func TestOnlyWhatTheOtherSideSaysCounts(t *testing.T) {
	s := run(t, throttling, "a*40 r*5 f*35")
	if n, accepted := s.M.throttle.Counts(s.Now); n != 35 || accepted != 0 {
		t.Errorf("%d of %d", accepted, n)
	}
	s.M.Report(s.Now, patterns.PermitID{ID: 1 << 40}, patterns.Ignored, 0)
	if n, _ := s.M.throttle.Counts(s.Now); n != 35 {
		t.Error("what was ignored counts")
	}
	// What is shed because of it counts, what is shed for another reason does not.
	s.run("a x=throttle*9")
	if n, _ := s.M.throttle.Counts(s.Now); n != 44 {
		t.Errorf("%d, want 35 and the 9 that were shed", n)
	}
	s = run(t, with(throttling, func(c *Config) { c.MaxInFlight = 1 }), "a x=in-flight*9")
	if n, _ := s.M.throttle.Counts(s.Now); n != 0 {
		t.Errorf("%d requests were never sent", n)
	}
	s = run(t, throttling, "closed a*40 f*40")
	if n, _ := s.M.throttle.Counts(s.Now); n != 0 {
		t.Errorf("%d were recorded while forced closed", n)
	}
}
