package circuitbreaker

import (
	"testing"

	"github.com/bulwark-go/bulwark/patterns"
)

// calls makes one guarded call after the other on a Machine.
type calls struct {
	m   *Machine
	now patterns.Instant
	id  uint64
	r   patterns.Request
}

func (c *calls) do(o patterns.Outcome) {
	c.id++
	c.now++
	if d := c.m.Acquire(c.now, c.id, &c.r); d.Verdict == patterns.Grant {
		c.m.Report(c.now, patterns.PermitID{Epoch: d.Epoch, ID: c.id}, o, 1)
	}
}

func TestCallsDoNotAllocate(t *testing.T) {
	tests := []struct {
		name  string
		cfg   Config
		steps string
		o     patterns.Outcome
	}{
		{"a success", Config{}, "", patterns.Success},
		{"a failure", Config{FailureRatio: 1}, "s", patterns.Failure},
		{"a success in a window of time", Config{FailureRatio: 0.5, Window: During(sec)}, "", patterns.Success},
		{"a slow rule", Config{FailureRatio: 0.5, SlowRatio: 0.5, SlowCall: sec}, "", patterns.Success},
		{"an ignored probe", trips, "f +5s", patterns.Ignored},
		{"refused while open", trips, "f", patterns.Success},
		{"refused while half-open", trips, "f +5s a1", patterns.Success},
		{"refused while forced open", trips, "force-open", patterns.Success},
		{"ramping", with(trips, func(c *Config) { c.RampFor = sec }), "f +5s s", patterns.Success},
		{"metrics only", trips, "metrics-only", patterns.Failure},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			m := newTestMachine(tt.cfg)
			s := newScript(t, m)
			s.run(tt.steps)
			c := calls{m: m, now: s.now, id: 1000}
			c.do(tt.o) // the first refusal makes the error that the rest share
			if n := testing.AllocsPerRun(200, func() { c.do(tt.o) }); n != 0 {
				t.Errorf("%v allocations", n)
			}
		})
	}
}

func TestLeasesDoNotAllocate(t *testing.T) {
	m := newTestMachine(Config{SlowCall: sec})
	if n := testing.AllocsPerRun(200, func() {
		m.Lease(0, 64)
		m.SettleLease(0, 1, patterns.Tally{Success: 63, Failure: 1, Slow: 9})
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func BenchmarkMachine(b *testing.B) {
	for name, cfg := range map[string]Config{
		"consecutive": {},
		"last 100":    {FailureRatio: 0.5},
		"during":      {FailureRatio: 0.5, Window: During(10 * sec)},
		"slow":        {FailureRatio: 0.5, SlowRatio: 0.5, SlowCall: sec},
	} {
		b.Run(name, func(b *testing.B) {
			c := calls{m: newTestMachine(cfg)}
			b.ReportAllocs()
			for b.Loop() {
				c.do(patterns.Success)
			}
		})
	}
	b.Run("refused", func(b *testing.B) {
		c := calls{m: newTestMachine(trips)}
		c.do(patterns.Failure)
		b.ReportAllocs()
		for b.Loop() {
			c.now = 0 // it stays open
			c.do(patterns.Success)
		}
	})
}
