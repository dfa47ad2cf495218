package backpressure

import (
	"testing"

	"github.com/bulwark-go/bulwark/patterns"
)

func TestCallsDoNotAllocate(t *testing.T) {
	call := func(m *Machine, id uint64) {
		r := patterns.Request{Weight: 1 + int(id%2)}
		switch d := m.Acquire(1, id, &r); d.Verdict {
		case patterns.Grant:
			m.Report(1, patterns.PermitID{Epoch: d.Epoch, ID: id}, patterns.Success, 0)
		case patterns.Wait:
			_, _, _ = m.Join(1, &r, patterns.Queue{Waiting: 9})
		}
	}
	for _, tt := range []struct {
		name   string
		waits  int
		before int
	}{
		{"calm", 0, 0},
		{"waiting", 9, 4},
		{"refused", NoQueue, 4},
	} {
		t.Run(tt.name, func(t *testing.T) {
			m := newTestMachine(with(small, func(c *Config) { c.MaxWaiting = tt.waits }))
			for i := range tt.before {
				m.Acquire(0, uint64(i), &patterns.Request{})
			}
			m.Tick(1)
			call(m, 98)
			call(m, 99) // the first refusal makes the error that the rest share
			if n := testing.AllocsPerRun(200, func() { call(m, 98); call(m, 99) }); n != 0 {
				t.Errorf("%v allocations", n)
			}
		})
	}
}

func BenchmarkMachine(b *testing.B) {
	m, r := newTestMachine(Config{}), patterns.Request{}
	b.ReportAllocs()
	for b.Loop() {
		d := m.Acquire(1, 1, &r)
		m.Report(1, patterns.PermitID{Epoch: d.Epoch, ID: 1}, patterns.Success, 0)
	}
}
