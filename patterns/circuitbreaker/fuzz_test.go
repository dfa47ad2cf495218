package circuitbreaker

import (
	"testing"
	"time"

	"github.com/bulwark-go/bulwark/patterns"
)

// fuzzed are four Machines under the same load, which must stay the same.
type fuzzed struct {
	t    *testing.T
	cfg  Config
	now  patterns.Instant // may step back
	last uint64

	plain  *Machine // ticked when it wants to be, as the shell does
	ticked *Machine // ticked at every instant besides, by a clock that never steps back
	frozen *Machine // given an old now wherever it says that it is Timeless, else as ticked
	stale  patterns.Instant
	spared bool // frozen was Timeless at its last dirty call

	hi      patterns.Instant
	permits []patterns.PermitID
	epoch   uint64
	state   State
}

func fuzzConfig(b byte) Config {
	c := Config{
		ConsecutiveFailures: int(b & 3), OpenFor: 4, OpenFactor: 2, MaxOpenFor: 20,
		Probes: 3, ConcurrentProbes: 1 + int(b>>2&1), ProbeTimeout: 3, Window: Last(4), MinSamples: 3,
	}
	if b&8 != 0 {
		c.FailureRatio = 0.5
	}
	if b&16 != 0 {
		c.Window = During(10).Buckets(5)
	}
	if b&32 != 0 {
		c.RampFor, c.RampStart = 8, 0.25
	}
	if b&64 != 0 {
		c.SlowCall, c.SlowRatio = 1, 0.75
	}
	if b&128 != 0 {
		c.ProbeFailureRatio, c.ResetOpensAfter = 0.6, 9
	}
	return c
}

func FuzzMachine(f *testing.F) {
	f.Add([]byte("\x00aaaaabbbbbbbbt9a!b"))
	f.Add([]byte{1, 0, 2, 25, 0, 3, 0, 35, 0, 1, 0, 0, 2, 2, 2})
	f.Add([]byte{0xff, 0, 0, 0, 0, 10, 18, 26, 34, 5, 13, 0, 0, 93, 3, 11, 85, 0})
	f.Add([]byte{0x28, 0, 2, 0, 2, 0, 2, 37, 0, 1, 0, 1, 0, 0, 0, 0, 14, 61, 0, 22, 0, 30, 0, 6, 0})
	f.Fuzz(func(t *testing.T, input []byte) {
		if len(input) == 0 {
			return
		}
		cfg := fuzzConfig(input[0])
		z := &fuzzed{t: t, cfg: cfg, plain: newTestMachine(cfg), ticked: newTestMachine(cfg), frozen: newTestMachine(cfg), epoch: 1}
		z.spared = z.frozen.Timeless()
		for _, b := range input[1:] {
			z.step(b&7, int(b>>3))
			z.check()
		}
		z.mustAdmitAgain()
	})
}

func (z *fuzzed) step(op byte, arg int) {
	switch op {
	case 0:
		z.acquire()
	case 1:
		z.report(patterns.Success, arg)
	case 2:
		z.report(patterns.Failure, arg)
	case 3:
		z.report([]patterns.Outcome{patterns.Dropped, patterns.Ignored}[arg&1], arg)
	case 4:
		if len(z.permits) > 0 {
			p := z.permits[arg%len(z.permits)]
			if p.Epoch != z.epoch || z.state == HalfOpen { // else the ledger's business
				z.each(func(m *Machine, now patterns.Instant) { m.Release(now, p) })
			}
		}
	case 5:
		z.wait(arg)
	case 6:
		op := patterns.Operation{Kind: patterns.OperationKind(arg & 3), For: time.Duration(arg >> 2)}
		z.each(func(m *Machine, now patterns.Instant) {
			if err := m.Operate(now, op); err != nil {
				z.t.Fatal(err)
			}
		})
	case 7:
		z.now = z.now.Add(-time.Duration(arg))
	}
}

// wait passes time as a shell does, which ticks a Machine whenever it asked for it.
func (z *fuzzed) wait(d int) {
	for range d {
		z.now++
		if z.now <= z.hi {
			continue
		}
		z.hi = z.now
		z.ticked.Tick(z.now)
		if z.plain.Wake() <= z.now {
			z.plain.Tick(z.now)
		}
		if z.frozen.Wake() <= z.now {
			z.frozen.Tick(z.now)
			z.spared, z.stale = z.frozen.Timeless(), z.now
		}
	}
}

// each does the same to all Machines. The shell looks at Timeless after every command.
func (z *fuzzed) each(do func(*Machine, patterns.Instant)) {
	do(z.plain, z.now)
	do(z.ticked, z.hi)
	do(z.frozen, z.hi)
	z.spared, z.stale = z.frozen.Timeless(), z.hi
}

// frozenNow is what the shell passes to frozen: the truth only if it is needed.
func (z *fuzzed) frozenNow(needed bool) patterns.Instant {
	if needed || !z.spared {
		z.stale = z.hi
	}
	return z.stale
}

func (z *fuzzed) acquire() {
	z.last++
	d := z.plain.Acquire(z.now, z.last, nil)
	e := z.ticked.Acquire(z.hi, z.last, nil)
	f := z.frozen.Acquire(z.frozenNow(false), z.last, nil)
	if f.Dirty {
		z.spared = z.frozen.Timeless()
	}
	if d.Verdict != e.Verdict || d.Epoch != e.Epoch || d.Verdict != f.Verdict || d.Epoch != f.Epoch {
		z.t.Fatalf("decisions %+v, %+v and %+v", d, e, f)
	}
	if (d.Err == nil) != (d.Verdict == patterns.Grant) {
		z.t.Fatalf("decision %+v", d)
	}
	if d.Verdict == patterns.Grant {
		z.permits = append(z.permits, patterns.PermitID{Epoch: d.Epoch, ID: z.last})
	}
}

func (z *fuzzed) report(o patterns.Outcome, arg int) {
	if len(z.permits) == 0 {
		return
	}
	i := arg % len(z.permits)
	p, elapsed := z.permits[i], time.Duration(arg>>1&3)
	z.permits = append(z.permits[:i:i], z.permits[i+1:]...)
	want, _ := z.plain.Report(z.now, p, o, elapsed)
	counted, _ := z.ticked.Report(z.hi, p, o, elapsed)
	frozenCounted, dirty := z.frozen.Report(z.frozenNow(o != patterns.Success), p, o, elapsed)
	if dirty {
		z.spared = z.frozen.Timeless()
	}
	if counted != want || frozenCounted != want {
		z.t.Fatalf("counted is %v, %v and %v", want, counted, frozenCounted)
	}
	if want && p.Epoch != z.epoch {
		z.t.Fatalf("counted a report of epoch %d in %d", p.Epoch, z.epoch)
	}
	if z.plain.state == HalfOpen {
		if again, _ := z.plain.Report(z.now, p, o, elapsed); again {
			z.t.Fatalf("probe %d counted twice", p.ID)
		}
	}
}

func (z *fuzzed) check() {
	m := z.plain
	if m.Epoch() < z.epoch || m.state != z.state && m.Epoch() == z.epoch {
		z.t.Fatalf("from %v in epoch %d to %v in %d", z.state, z.epoch, m.state, m.Epoch())
	}
	z.epoch, z.state = m.Epoch(), m.state
	if len(m.trial.out) > z.cfg.ConcurrentProbes {
		z.t.Fatalf("%d probes out", len(m.trial.out))
	}
	for _, m := range []*Machine{z.plain, z.ticked, z.frozen} {
		if err := m.Check(); err != nil {
			z.t.Fatal(err)
		}
		if w := m.Wake(); w <= z.hi {
			z.t.Fatalf("at %d it still wants to be woken at %d", z.hi, w)
		}
		if m.state != z.state || m.Epoch() != z.epoch || m.until != z.plain.until || m.due != z.plain.due {
			z.t.Fatalf("%v until %d and %v until %d", m.state, m.until, z.state, z.plain.until)
		}
	}
	a, b := m.Snapshot(z.now, patterns.Counts{}), z.ticked.Snapshot(z.hi, patterns.Counts{})
	if a != b {
		z.t.Fatalf("snapshots differ\n%+v\n%+v", a, b)
	}
	// Not frozen's: to take it would tell it the time.
	if a := z.frozen; a.failures != m.failures || a.successes != m.successes || a.opens != m.opens ||
		!a.recent.timed && a.recent.ring.Counts() != m.recent.ring.Counts() {
		z.t.Fatalf("an old now made a difference:\n%+v\n%+v", a, m)
	}
}

// mustAdmitAgain: left alone long enough, it admits a call, unless an operator said
// otherwise.
func (z *fuzzed) mustAdmitAgain() {
	m := z.plain
	later := z.hi.Add(time.Hour)
	m.Tick(later)
	if m.state == ForcedOpen {
		if m.Wake() != patterns.Never {
			z.t.Fatalf("forced open until %d at %d", m.Wake(), later)
		}
		return
	}
	for range 2 { // a lost probe opens it once more
		later = later.Add(time.Hour)
		for range 10 { // a ramp may refuse the first few
			if z.last++; m.Acquire(later, z.last, nil).Verdict == patterns.Grant {
				return
			}
		}
	}
	z.t.Fatalf("wedged: %+v", m.Snapshot(later, patterns.Counts{}))
}
