package bulkhead

import (
	"testing"

	"github.com/bulwark-go/bulwark/patterns"
)

func TestCallsDoNotAllocate(t *testing.T) {
	for _, tt := range []struct {
		name   string
		cfg    Config
		before int
		r      patterns.Request
	}{
		{"granted", four, 0, patterns.Request{}},
		{"waiting", queued, 2, patterns.Request{}},
		{"refused", four, 4, patterns.Request{}},
		{"weighed", four, 1, patterns.Request{Weight: 2}},
		{"too heavy", four, 1, patterns.Request{Weight: 9}},
		{"a try behind others", queued, 2, patterns.Request{NoWait: true}},
		{"in a partition", rooms, 0, patterns.Request{Key: "k"}},
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
					_, _, _ = m.Join(1, &tt.r, patterns.Queue{Waiting: 3, Ahead: 3})
					_, _ = m.Expired(1, &tt.r)
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

func BenchmarkMachine(b *testing.B) {
	for _, tt := range []struct {
		name string
		cfg  Config
		r    patterns.Request
	}{
		{"plain", Config{}, patterns.Request{}},
		{"weighed", Config{}, patterns.Request{Weight: 2}},
		{"keyed", rooms, patterns.Request{Key: "k"}},
		{"plain among keys", rooms, patterns.Request{}},
	} {
		b.Run(tt.name, func(b *testing.B) {
			m := newTestMachine(tt.cfg)
			b.ReportAllocs()
			for b.Loop() {
				d := m.Acquire(1, 1, &tt.r)
				m.Report(1, patterns.PermitID{Epoch: d.Epoch, ID: 1}, patterns.Success, 0)
			}
		})
	}
}
