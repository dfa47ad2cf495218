package loadshedder

import (
	"testing"

	"github.com/bulwark-go/bulwark/patterns"
)

func TestCallsDoNotAllocate(t *testing.T) {
	fair := with(door, func(c *Config) { c.MaxInFlight, c.Fair = 100, true })
	throttled := with(door, func(c *Config) { c.MaxInFlight, c.Throttle = 100, 2 })
	for _, tt := range []struct {
		name   string
		cfg    Config
		before int
		r      patterns.Request
	}{
		{"granted", door, 0, patterns.Request{}},
		{"weighed", door, 0, patterns.Request{Weight: 2}},
		{"too heavy", door, 1, patterns.Request{Weight: 9}},
		{"shed", door, 4, patterns.Request{}},
		{"shed of another priority", door, 4, patterns.Request{Priority: patterns.Low}},
		{"waiting", hall, 2, patterns.Request{}},
		{"whose turn it is", counter, 2, patterns.Request{Asked: 1}},
		{"fair", fair, 2, patterns.Request{Key: "k"}},
		{"throttled", throttled, 2, patterns.Request{}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			m := newTestMachine(tt.cfg)
			for i := range tt.before {
				m.Acquire(0, uint64(i), &patterns.Request{})
			}
			call := func() {
				switch d := m.Acquire(1, 99, &tt.r); d.Verdict {
				case patterns.Grant:
					m.Report(1, patterns.PermitID{Epoch: d.Epoch, ID: 99}, patterns.Success, 0)
				case patterns.Wait:
					if _, _, err := m.Join(1, &tt.r, patterns.Queue{Oldest: patterns.Never}); err == nil {
						m.queue.leave()
					}
				}
			}
			call() // the first refusal makes the error that the rest share
			m.Tick(1)
			for range m.Drain() { // away with it
			}
			if n := testing.AllocsPerRun(200, call); n != 0 {
				t.Errorf("%v allocations", n)
			}
		})
	}
}

func TestAMeasurementDoesNotAllocate(t *testing.T) {
	m := newTestMachine(Config{})
	var question any = Observation{Readings: []Reading{{Signal: CPU, Value: 0.5}, {Signal: Memory, Value: 0.5}}}
	now := patterns.Instant(0)
	if n := testing.AllocsPerRun(200, func() {
		now = now.Add(250 * ms)
		m.Consult(now, question)
	}); n > 2 { // its answer, and the question
		t.Errorf("%v allocations", n)
	}
}

func BenchmarkMachine(b *testing.B) {
	for name, tt := range map[string]struct {
		cfg Config
		r   patterns.Request
	}{
		"plain":     {Config{}, patterns.Request{}},
		"weighed":   {Config{}, patterns.Request{Weight: 2}},
		"fair":      {Config{Fair: true}, patterns.Request{Key: "k"}},
		"throttled": {Config{Throttle: 2}, patterns.Request{}},
	} {
		b.Run(name, func(b *testing.B) {
			m := newTestMachine(tt.cfg)
			b.ReportAllocs()
			for b.Loop() {
				d := m.Acquire(1, 1, &tt.r)
				m.Report(1, patterns.PermitID{Epoch: d.Epoch, ID: 1}, patterns.Success, 0)
			}
		})
	}
	b.Run("cutting", func(b *testing.B) {
		m := newTestMachine(eyes)
		for now := range patterns.Instant(10) {
			m.Consult(now*patterns.Instant(100*ms), read(CPU, 1))
		}
		b.ReportAllocs()
		for b.Loop() {
			if d := m.Acquire(patterns.Instant(sec), 1, &patterns.Request{}); d.Verdict == patterns.Grant {
				m.Report(patterns.Instant(sec), patterns.PermitID{Epoch: d.Epoch, ID: 1}, patterns.Success, 0)
			}
		}
	})
}
