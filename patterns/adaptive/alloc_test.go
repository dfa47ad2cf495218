package adaptive

import (
	"testing"

	"github.com/bulwark-go/bulwark/patterns"
)

// calls makes one guarded call after the other, with others in flight.
type calls struct {
	m   *Machine
	now patterns.Instant
	id  uint64
	r   patterns.Request
}

func (c *calls) do(o patterns.Outcome) {
	c.id += 1 << 32
	c.now += 1000
	if d := c.m.Acquire(c.now, c.id|1, &c.r); d.Verdict == patterns.Grant {
		c.m.Report(c.now+500, patterns.PermitID{Epoch: d.Epoch, ID: c.id | 1}, o, 500)
	}
}

func algorithms() []Algorithm {
	return []Algorithm{
		Knee{},
		AIMD{},
		AIMD{Window: 100},
		AIMD{PerFlight: true},
		Vegas{},
		Vegas{Freeze: 5},
		Gradient{},
		Gradient2{},
		Window{Of: Vegas{}, Min: 100 * ms, Percentile: 0.9},
	}
}

func TestCallsDoNotAllocate(t *testing.T) {
	for _, a := range algorithms() {
		for _, o := range []patterns.Outcome{patterns.Success, patterns.Dropped} {
			c := calls{m: newSubject(a, func(c *Config) { c.Fair = true }), r: patterns.Request{Key: "tenant"}}
			c.do(o)
			if n := testing.AllocsPerRun(2000, func() { c.do(o) }); n != 0 {
				t.Errorf("%v, %v: %v allocations", a, o, n)
			}
		}
	}
}

func TestRefusalsDoNotAllocate(t *testing.T) {
	h := newHost(t, still(1))
	h.take(2, patterns.Request{}) // the first refusal makes the error that the rest share
	r := patterns.Request{}
	if n := testing.AllocsPerRun(200, func() { h.m.Acquire(h.now, 5, &r) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func BenchmarkMachine(b *testing.B) {
	for _, a := range algorithms() {
		b.Run(a.String(), func(b *testing.B) {
			c := calls{m: newSubject(a)}
			b.ReportAllocs()
			for b.Loop() {
				c.do(patterns.Success)
			}
		})
	}
	b.Run("fair", func(b *testing.B) {
		c := calls{m: newSubject(Knee{}, func(c *Config) { c.Fair = true }), r: patterns.Request{Key: "tenant"}}
		b.ReportAllocs()
		for b.Loop() {
			c.do(patterns.Success)
		}
	})
}
