package ratelimiter

import (
	"fmt"
	"strconv"
	"testing"

	"github.com/bulwark-go/bulwark/patterns"
)

// calls asks a Machine again and again.
type calls struct {
	m    *Machine
	now  patterns.Instant
	step patterns.Instant
	id   uint64
	r    patterns.Request
	end  func(*Machine, patterns.Instant, patterns.PermitID)
}

func (c *calls) do() patterns.Verdict {
	c.id++
	c.now += c.step
	d := c.m.Acquire(c.now, c.id<<32|1, &c.r)
	if d.Verdict == patterns.Grant {
		c.end(c.m, c.now, patterns.PermitID{Epoch: d.Epoch, ID: c.id<<32 | 1})
	}
	return d.Verdict
}

func report(m *Machine, now patterns.Instant, p patterns.PermitID) {
	m.Report(now, p, patterns.Success, 0)
}
func release(m *Machine, now patterns.Instant, p patterns.PermitID) { m.Release(now, p) }

// benchConfigs are all algorithms, at a rate that is never reached by one call in a
// microsecond.
func benchConfigs() map[string]Config {
	c := map[string]Config{
		"fraction":  {Rate: MustParse("999999937/second")},
		"two tiers": {Tiers: MustParseTiers("1000000000/second, 1000000000000/hour")},
		"log 1000":  {Rate: MustParse("1000/ms"), Algorithm: SlidingLog},
	}
	for a := range algorithms {
		if a == SlidingLog {
			continue
		}
		b := Config{Rate: MustParse("1000000000/second"), Algorithm: a}
		if a == WarmUp {
			b.WarmUpFor = sec
		}
		c[a.String()] = b
	}
	return c
}

func TestCallsDoNotAllocate(t *testing.T) {
	for name, cfg := range benchConfigs() {
		for _, maxKeys := range []int{NoKeys, 1000} {
			cfg.MaxKeys = maxKeys
			for ending, end := range map[string]func(*Machine, patterns.Instant, patterns.PermitID){"reported": report, "released": release} {
				c := calls{m: newTestMachine(cfg), step: 1000, r: patterns.Request{Key: "a key"}, end: end}
				c.do()
				c.do()
				granted := 0
				if n := testing.AllocsPerRun(200, func() {
					if c.do() == patterns.Grant {
						granted++
					}
				}); n != 0 || granted != 201 {
					t.Errorf("%s, %d keys, %s: %v allocations, %d granted", name, maxKeys, ending, n, granted)
				}
			}
		}
	}
}

func TestRefusalsDoNotAllocate(t *testing.T) {
	slow := per(1, 1000*sec)
	for name, tt := range map[string]struct {
		cfg    Config
		r      patterns.Request
		before func(*Machine)
	}{
		"limited":               {slow, patterns.Request{}, nil},
		"too heavy":             {slow, patterns.Request{Weight: 2}, nil},
		"a weight":              {per(5, 1000*sec), patterns.Request{Weight: 4}, nil},
		"waiting":               {with(slow, func(c *Config) { c.MaxWaiting = 1 }), patterns.Request{}, nil},
		"waiting too long":      {with(slow, func(c *Config) { c.MaxWaiting = 1 }), patterns.Request{Deadline: 1e9}, nil},
		"a key":                 {with(slow, func(c *Config) { c.MaxKeys = 1 }), patterns.Request{Key: "k"}, nil},
		"a key without room":    {with(slow, func(c *Config) { c.MaxKeys = 1 }), patterns.Request{Key: "k"}, func(m *Machine) { m.Take(0, request("other", 1)) }},
		"forced open":           {slow, patterns.Request{}, func(m *Machine) { _ = m.Operate(0, patterns.Operation{}) }},
		"a sliding window":      {with(slow, func(c *Config) { c.Algorithm = SlidingWindow }), patterns.Request{}, nil},
		"a log":                 {with(slow, func(c *Config) { c.Algorithm = SlidingLog }), patterns.Request{}, nil},
		"a limiter warming up":  {with(slow, func(c *Config) { c.Algorithm, c.WarmUpFor = WarmUp, sec }), patterns.Request{}, nil},
		"metrics only, granted": {slow, patterns.Request{}, func(m *Machine) { _ = m.Operate(0, patterns.Operation{Kind: patterns.MetricsOnly}) }},
	} {
		m := newTestMachine(tt.cfg)
		if tt.before != nil {
			tt.before(m)
		}
		c := calls{m: m, step: 1000, r: tt.r, end: report}
		c.do()
		c.do()
		if n := testing.AllocsPerRun(200, func() { c.do() }); n != 0 {
			t.Errorf("%s: %v allocations", name, n)
		}
	}
}

// Many keys that are refused share a few errors.
func TestRefusingManyKeysDoesNotAllocate(t *testing.T) {
	const n = 1000
	m := newTestMachine(with(per(1, 1000*sec), func(c *Config) { c.MaxKeys = n }))
	keys := make([]string, n)
	for i := range keys {
		keys[i] = "user-" + strconv.Itoa(i)
		m.Take(patterns.Instant(i)*1000, request(keys[i], 1))
	}
	r := &patterns.Request{}
	for i := 0; i < 2*n; i++ {
		r.Key = keys[i%n]
		m.Acquire(n*1000, uint64(i), r)
	}
	i := 0
	if got := testing.AllocsPerRun(n, func() {
		i++
		r.Key = keys[i%n]
		if d := m.Acquire(n*1000, uint64(i), r); d.Verdict != patterns.Refuse {
			t.Fatal(d)
		}
	}); got != 0 {
		t.Errorf("%v allocations", got)
	}
}

func TestQuestionsAndLeasesDoNotAllocate(t *testing.T) {
	m := newTestMachine(leased(per(1_000_000, sec)))
	r := request("", 1)
	now := patterns.Instant(0)
	if n := testing.AllocsPerRun(200, func() {
		now += 1e6
		m.Take(now, r)
		m.Peek(now, r)
		m.TakeUpTo(now, r)
		v, _ := m.Reserve(now, r, 0)
		m.Cancel(now, v)
		m.SettleLease(now, 1, patterns.Tally{Success: 1, Unused: m.Lease(now, 64) - 1})
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func BenchmarkMachine(b *testing.B) {
	for name, cfg := range benchConfigs() {
		b.Run(name, func(b *testing.B) {
			c := calls{m: newTestMachine(cfg), step: 1000, end: report}
			b.ReportAllocs()
			for b.Loop() {
				c.do()
			}
		})
	}
	b.Run("refused", func(b *testing.B) {
		c := calls{m: newTestMachine(per(1, 24*3600*sec)), step: 1, end: report}
		b.ReportAllocs()
		for b.Loop() {
			c.do()
		}
	})
	b.Run("hot key", func(b *testing.B) {
		cfg := with(Config{Rate: MustParse("1000000000/second")}, func(c *Config) { c.MaxKeys = 1000 })
		c := calls{m: newTestMachine(cfg), step: 1000, r: patterns.Request{Key: "user-123"}, end: report}
		b.ReportAllocs()
		for b.Loop() {
			c.do()
		}
	})
}

func BenchmarkKeys(b *testing.B) {
	const n = 1 << 20
	keys := make([]string, n)
	for i := range keys {
		keys[i] = fmt.Sprint("user-", i*7919%n)
	}
	m := newTestMachine(with(per(10, 3600*sec), func(c *Config) { c.MaxKeys = n }))
	for i := range keys {
		m.Take(patterns.Instant(i), request(keys[i], 1))
	}
	c := calls{m: m, now: n, step: 1000, end: report}
	b.ReportAllocs()
	i := 0
	for b.Loop() {
		c.r.Key = keys[i&(n-1)]
		i++
		c.do()
	}
	b.ReportMetric(float64(m.keys.table.Bytes())/float64(m.keys.table.Len()), "B/key")
}
