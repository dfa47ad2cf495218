package adaptive

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/bulwark-go/bulwark/patterns"
)

// still is a Config whose limit does not move until a call is lost.
func still(limit int) Config {
	return Config{Algorithm: AIMD{Increase: 1e-9}, Initial: limit, Min: 1, Max: 100}
}

func TestMachine(t *testing.T) {
	critical := patterns.Request{Priority: patterns.Critical}
	tests := []struct {
		name string
		cfg  Config
		do   func(t *testing.T, h *host)
	}{
		{"as many are granted as the limit says", still(3), func(t *testing.T, h *host) {
			if n := h.take(5, patterns.Request{}); n != 3 {
				t.Errorf("%d granted", n)
			}
		}},
		{"an ended call makes room for another", still(1), func(t *testing.T, h *host) {
			h.take(1, patterns.Request{})
			h.report(0, patterns.Success, ms)
			if h.take(2, patterns.Request{}) != 1 {
				t.Error("no room, or too much")
			}
		}},
		{"a released permit makes room, too", still(1), func(t *testing.T, h *host) {
			h.take(1, patterns.Request{})
			h.release(0)
			if h.take(1, patterns.Request{}) != 1 {
				t.Error("no room")
			}
		}},
		{"a refusal says who, why and when", still(1), func(t *testing.T, h *host) {
			h.take(1, patterns.Request{})
			h.report(0, patterns.Success, 16*ms)
			h.take(1, patterns.Request{})
			d := h.acquire(patterns.Request{})
			e, _ := errors.AsType[*LimitError](d.Err)
			if !errors.Is(d.Err, ErrLimit) || !errors.Is(d.Err, patterns.ErrRejected) || e.Cause != CauseLimit || e.Limit != 1 {
				t.Errorf("%v", d.Err)
			}
			if after, ok := patterns.RetryAfter(d.Err); !ok || after != ms {
				t.Errorf("retry after %v", after)
			}
		}},
		{"a lost call cuts the limit", still(20), func(t *testing.T, h *host) {
			h.take(1, patterns.Request{})
			h.report(0, patterns.Dropped, ms)
			if h.m.limit != 18 {
				t.Errorf("limit %d", h.m.limit)
			}
		}},
		{"an ignored call teaches nothing", still(20), func(t *testing.T, h *host) {
			h.take(1, patterns.Request{})
			if !h.report(0, patterns.Ignored, time.Hour) || h.m.limit != 20 {
				t.Errorf("limit %d", h.m.limit)
			}
		}},
		{"permits in use stay when the limit falls below them", still(20), func(t *testing.T, h *host) {
			h.take(20, patterns.Request{})
			for range 5 {
				h.report(0, patterns.Dropped, ms)
			}
			if s := h.m.Snapshot(0, patterns.Counts{}); s.Limit != 10 || s.Used != 15 || s.Utilization() != 1.5 {
				t.Errorf("%+v", s)
			}
			if h.take(1, patterns.Request{}) != 0 {
				t.Error("one more")
			}
		}},
		{"what was never granted frees nothing", still(2), func(t *testing.T, h *host) {
			h.take(2, patterns.Request{})
			h.m.Release(0, patterns.PermitID{Epoch: 1, ID: 99<<32 | 1})
			h.m.Report(0, patterns.PermitID{Epoch: 1, ID: 7<<32 | 9}, patterns.Success, ms)
			if h.take(1, patterns.Request{}) != 0 {
				t.Error("a place from nowhere")
			}
		}},
		{"a key of no bytes, and one of a million", func() Config { c := still(4); c.Fair = true; return c }(), func(t *testing.T, h *host) {
			if h.take(1, patterns.Request{Key: ""}) != 1 || h.take(1, patterns.Request{Key: strings.Repeat("k", 1<<20)}) != 1 {
				t.Error("refused")
			}
			if s := h.m.Snapshot(0, patterns.Counts{}); s.Tenants != 2 {
				t.Errorf("%d tenants", s.Tenants)
			}
		}},
		{"a lost call takes at least as long as it took until it was given up", still(20), func(t *testing.T, h *host) {
			h.m.latency = 1e6
			h.take(2, patterns.Request{})
			if h.report(0, patterns.Dropped, 100*time.Microsecond); h.m.latency != 1e6 {
				t.Errorf("latency %v after one that was turned away", h.m.latency)
			}
			if h.report(0, patterns.Dropped, 17*ms); h.m.latency != 2e6 || h.m.spread != 1e6 || h.m.patience() != 6e6 {
				t.Errorf("latency %v, spread %v", h.m.latency, h.m.spread)
			}
		}},
		{"a MaxLatency that comes later counts, too", still(20), func(t *testing.T, h *host) {
			c := still(20)
			c.MaxLatency = ms
			h.m.Reconfigure(0, c)
			for range 20 {
				h.take(1, patterns.Request{})
				h.now += patterns.Instant(20 * ms)
				h.report(0, patterns.Success, 20*ms)
			}
			if h.m.limit > 5 {
				t.Errorf("limit %d", h.m.limit)
			}
		}},
		{"a heavy call takes its weight", still(5), func(t *testing.T, h *host) {
			h.take(1, patterns.Request{Weight: 4})
			if h.take(1, patterns.Request{Weight: 2}) != 0 || h.take(2, patterns.Request{}) != 1 {
				t.Error("weights do not add up")
			}
		}},
		{"what weighs more than the limit runs alone", still(5), func(t *testing.T, h *host) {
			if h.take(2, patterns.Request{Weight: 50}) != 1 {
				t.Error("not run alone")
			}
		}},
		{"what weighs more than the limit can ever be is refused for good", still(5), func(t *testing.T, h *host) {
			if d := h.acquire(patterns.Request{Weight: 101}); cause(d) != CauseWeight {
				t.Errorf("%+v", d)
			}
		}},
		{"who has stopped waiting is refused", still(5), func(t *testing.T, h *host) {
			h.now = 10
			if d := h.acquire(patterns.Request{Deadline: 10}); cause(d) != CauseDeadline {
				t.Errorf("%+v", d)
			}
		}},
		{"a refused critical call is kept a place for", still(3), func(t *testing.T, h *host) {
			h.take(3, patterns.Request{})
			h.acquire(critical)
			h.report(0, patterns.Success, ms)
			if d := h.acquire(patterns.Request{}); cause(d) != CausePriority {
				t.Errorf("%+v", d)
			}
			if h.take(1, critical) != 1 {
				t.Error("the place is not free")
			}
		}},
		{"a reserve that nobody needs is given up", still(3), func(t *testing.T, h *host) {
			h.take(3, patterns.Request{})
			h.acquire(critical)
			h.report(0, patterns.Success, ms)
			for range 100_000 {
				if h.take(1, patterns.Request{}) == 1 {
					h.report(len(h.out)-1, patterns.Success, ms)
				} else {
					h.report(0, patterns.Success, ms)
				}
			}
			if h.m.cutoff.reserve[levels-1] > 0.01 {
				t.Errorf("%v kept", h.m.cutoff.reserve)
			}
		}},
		{"nothing is kept for anybody once all who come find room", still(9), func(t *testing.T, h *host) {
			h.take(9, patterns.Request{})
			h.acquire(critical)
			for len(h.out) > 0 {
				h.report(0, patterns.Success, 100*ms)
			}
			for range 4 { // 0.9 calls at a time, in what is left of 9 places
				h.now = h.now.Add(111 * ms)
				h.take(1, patterns.Request{})
				h.report(0, patterns.Success, 100*ms)
			}
			if !h.m.cutoff.held {
				t.Error("it was given up at once")
			}
			for range 3 {
				h.now = h.now.Add(111 * ms)
				h.take(1, patterns.Request{})
				h.report(0, patterns.Success, 100*ms)
			}
			if h.m.cutoff.held || h.take(9, patterns.Request{}) != 9 {
				t.Errorf("kept: %v", h.m.cutoff.reserve)
			}
		}},
		{"but is while as many are refused as find room", still(9), func(t *testing.T, h *host) {
			h.take(9, patterns.Request{})
			h.acquire(critical)
			for range 100 { // 9 at a time take 100 ms each, and 18 come in that time
				h.now = h.now.Add(100 * ms)
				for range min(len(h.out), 9) {
					h.report(0, patterns.Success, 100*ms)
				}
				h.take(18, patterns.Request{})
			}
			if !h.m.cutoff.held {
				t.Error("it was given up")
			}
		}},
		{"a call waits where it may", func() Config { c := still(1); c.MaxWaiting = 1; return c }(), func(t *testing.T, h *host) {
			h.take(1, patterns.Request{})
			if d := h.acquire(patterns.Request{}); d.Verdict != patterns.Wait {
				t.Errorf("%+v", d)
			}
		}},
		{"a priority that is cut off does not wait", func() Config { c := still(4); c.MaxWaiting = 1; return c }(), func(t *testing.T, h *host) {
			h.m.cutoff.reserve[levels-1], h.m.cutoff.held = 2, true
			h.take(2, patterns.Request{})
			if d := h.acquire(patterns.Request{}); d.Verdict != patterns.Refuse {
				t.Errorf("%+v", d)
			}
			if d := h.acquire(critical); d.Verdict != patterns.Grant {
				t.Errorf("%+v", d)
			}
		}},
		{"a tenant below its share goes first", func() Config { c := still(4); c.Fair = true; return c }(), func(t *testing.T, h *host) {
			quiet := patterns.Request{Key: "quiet"}
			h.acquire(quiet)
			h.report(0, patterns.Success, ms) // now both are known
			h.take(4, patterns.Request{Key: "noisy"})
			h.acquire(quiet)
			h.report(0, patterns.Success, ms)
			if d := h.acquire(patterns.Request{Key: "noisy"}); cause(d) != CauseShare {
				t.Errorf("%+v", d)
			}
			if h.take(1, quiet) != 1 {
				t.Error("the place is not free")
			}
		}},
		{"a guarantee is a share of its own", func() Config {
			c := still(10)
			c.Partitions = Guarantee(map[string]float64{"live": 0.8})
			return c
		}(), func(t *testing.T, h *host) {
			h.take(9, patterns.Request{Key: "batch"})
			h.take(7, patterns.Request{Key: "live"})
			for range 9 {
				h.report(0, patterns.Success, ms)
				h.take(1, patterns.Request{Key: "batch"})
				h.take(1, patterns.Request{Key: "live"})
			}
			live := h.m.tenants.find(h.now, "live", h.m.cfg.Partitions)
			if n := h.m.tenants.all[live].inFlight; n != 8 {
				t.Errorf("live has %d of 10", n)
			}
		}},
		{"forced open refuses all until its time is over", still(2), func(t *testing.T, h *host) {
			must(t, h.m.Operate(0, patterns.Operation{Kind: patterns.ForceOpen, For: 10}))
			if _, until, ok := h.m.Refusal(); !ok || until != 10 || h.m.Wake() != 10 {
				t.Errorf("%v %v", until, ok)
			}
			if d := h.acquire(patterns.Request{}); cause(d) != CauseForced {
				t.Errorf("%+v", d)
			}
			h.now = 10
			if h.take(1, patterns.Request{}) != 1 {
				t.Error("still refused")
			}
		}},
		{"forced closed refuses nothing and learns nothing", still(2), func(t *testing.T, h *host) {
			must(t, h.m.Operate(0, patterns.Operation{Kind: patterns.ForceClosed}))
			if h.take(9, patterns.Request{}) != 9 {
				t.Error("refused")
			}
			if h.report(0, patterns.Dropped, ms); h.m.limit != 2 {
				t.Error("learned")
			}
		}},
		{"metrics only refuses nothing and learns", still(20), func(t *testing.T, h *host) {
			must(t, h.m.Operate(0, patterns.Operation{Kind: patterns.MetricsOnly}))
			if h.take(30, patterns.Request{}) != 30 {
				t.Error("refused")
			}
			if h.report(0, patterns.Dropped, ms); h.m.limit != 18 {
				t.Error("not learned")
			}
		}},
		{"a reset begins again, and older permits teach nothing", still(20), func(t *testing.T, h *host) {
			h.take(3, patterns.Request{})
			h.report(0, patterns.Dropped, ms)
			must(t, h.m.Operate(0, patterns.Operation{Kind: patterns.Reset}))
			if h.report(0, patterns.Dropped, ms) || h.m.limit != 20 || h.m.inFlight != 1 {
				t.Errorf("limit %d, in flight %d", h.m.limit, h.m.inFlight)
			}
		}},
		{"a new Config keeps the estimate as far as it allows", still(20), func(t *testing.T, h *host) {
			h.m.Reconfigure(0, Config{Max: 10})
			if h.m.limit != 10 || h.m.Snapshot(0, patterns.Counts{}).Algorithm != "knee" {
				t.Errorf("limit %d", h.m.limit)
			}
		}},
		{"a repair keeps the limit and what is out", still(20), func(t *testing.T, h *host) {
			h.take(3, patterns.Request{})
			h.m.inFlight = -7
			if h.m.Check() == nil {
				t.Error("nothing found")
			}
			h.m.Repair(0)
			if h.m.inFlight != 3 || h.m.limit != 20 || h.m.Epoch() != 2 {
				t.Errorf("limit %d, in flight %d", h.m.limit, h.m.inFlight)
			}
		}},
		{"a limit that moves is told of once a second", still(100), func(t *testing.T, h *host) {
			for range 30 {
				h.now += patterns.Instant(100 * ms)
				h.take(1, patterns.Request{})
				h.report(0, patterns.Dropped, ms)
			}
			if n := len(h.events()); n != 3 {
				t.Errorf("%d events", n)
			}
		}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			h := newHost(t, tt.cfg)
			tt.do(t, h)
			h.sound()
		})
	}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func TestLeases(t *testing.T) {
	h := newHost(t, still(20))
	if n := h.m.Lease(0, 64); n != 5 || h.m.inFlight != 5 {
		t.Fatalf("%d leased", n)
	}
	if _, dirty := h.m.SettleLease(0, 1, patterns.Tally{Success: 2, Unused: 2}); dirty || h.m.inFlight != 1 {
		t.Fatalf("%d in flight", h.m.inFlight)
	}
	// A leased permit may come back by itself.
	if counted, _ := h.m.Report(0, patterns.PermitID{Epoch: 1, ID: 1 << 63}, patterns.Dropped, ms); !counted || h.m.inFlight != 0 || h.m.limit != 18 {
		t.Fatalf("%d in flight, limit %d", h.m.inFlight, h.m.limit)
	}
	h.take(9, patterns.Request{})
	if n := h.m.Lease(0, 64); n != 0 {
		t.Errorf("%d leased near the limit", n)
	}
	h.sound()
}
