package redislimiter

import (
	"testing"
	"time"

	"github.com/bulwark-go/bulwark/patterns"
	"github.com/bulwark-go/bulwark/patterns/ratelimiter"
)

func TestAllocLeasedRequestsDoNotAllocate(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector allocates")
	}
	h := newHost(t, 10_000_000, Config{LeaseFor: time.Minute, MaxLease: maxMillion})
	for range 20 { // demand makes a lease
		for range 1000 {
			h.ask("ann", 1)
		}
		h.depart()
		h.comeBack(answered, false)
	}
	for name, r := range map[string]patterns.Request{"spent": {Key: "ann", Spend: true}, "permits": {Key: "ann"}} {
		id := uint64(1 << 40)
		granted := 0
		if n := testing.AllocsPerRun(100, func() {
			id++
			d := h.m.Acquire(h.now, id, &r)
			if d.Verdict == patterns.Grant {
				granted++
			}
			h.m.Report(h.now, patterns.PermitID{Epoch: d.Epoch, ID: id}, patterns.Success, 0)
		}); n != 0 || granted != 101 {
			t.Errorf("%s: %v allocations, %d granted", name, n, granted)
		}
	}
}

// The batched path: what the rules do for a request that Redis decides, all of it but the
// call itself. Refusals have an error each.
func TestAllocBatchedRequestsDoNotAllocate(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector allocates")
	}
	for name, tt := range map[string]struct {
		most int64
		key  string
		ceil float64 // of a whole batch of 100
	}{
		"granted": {10_000_000, "ann", 0},
		"refused": {1, "ann", 100},
	} {
		h := newHost(t, tt.most, Config{})
		id, r := uint64(0), patterns.Request{Key: tt.key, NoWait: true}
		batch := func() {
			for i := range 100 {
				if d := h.m.Acquire(h.now, id, &r); d.Verdict != patterns.Refer || !h.m.Load(h.now, i, &r, nil) {
					t.Fatal(d)
				}
			}
			errand, _ := h.m.Depart(h.now, 100)
			err := errand.Carry(t.Context())
			h.m.Return(h.now, errand, err)
			for i := range 100 {
				id++
				if d := h.m.Conclude(h.now, errand, i, id, &r); d.Verdict == patterns.Grant {
					h.m.Report(h.now, patterns.PermitID{Epoch: d.Epoch, ID: id}, patterns.Success, 0)
				}
			}
		}
		h.shelf.trips = make([]int, 0, 1000)
		batch()
		if n := testing.AllocsPerRun(50, batch); n > tt.ceil {
			t.Errorf("%s: %v allocations for 100 requests, want at most %v", name, n, tt.ceil)
		}
	}
}

func TestAllocPoliciesDoNotAllocate(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector allocates")
	}
	for _, policy := range []Outage{FailOpen, FailClosed, Local} {
		h := newHost(t, 1<<20, Config{OnOutage: policy, Failures: 1})
		h.ask("ann", 1)
		h.depart()
		h.comeBack(failed, false)
		r := patterns.Request{Key: "ann", Spend: true}
		if n := testing.AllocsPerRun(100, func() { h.m.Acquire(h.now, 1, &r) }); n != 0 {
			t.Errorf("%v: %v allocations", policy, n)
		}
		if !h.m.outage.down || h.m.state != ratelimiter.Limiting {
			t.Errorf("%v: it is not down", policy)
		}
	}
}
