package circuitbreaker

import (
	"math"
	"math/big"
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/bulwark-go/bulwark/patterns"
	"pgregory.net/rapid"
)

// twin is the breaker as one would explain it: it keeps every result there ever was
// and filters the whole list each time it has to decide. Ratios are big fractions.
type twin struct {
	cfg   Config
	state State
	epoch uint64
	hi    patterns.Instant
	since patterns.Instant
	until patterns.Instant // of Open and of forced states
	opens int
	ramp  *twinRamp

	results []twinResult
	run     int // first of results that the runs look at

	trial  Config // as the trial began
	probes []twinProbe
}

type twinResult struct {
	at           patterns.Instant
	failed, slow bool
	probe        bool
	epoch        uint64
	gone         bool // a Reconfigure had no room for it
}

type twinProbe struct {
	id           uint64
	by           patterns.Instant
	done         bool
	failed, slow bool
}

type twinRamp struct {
	start    float64
	lasts    time.Duration
	from     patterns.Instant
	offered  []patterns.Instant
	admitted int
}

func newTwin(c Config) *twin { return &twin{cfg: c.withDefaults(), epoch: 1, until: patterns.Never} }

// window is the results in the window, oldest first.
func (w *twin) window() (in []twinResult) {
	for _, r := range w.results {
		if r.epoch == w.epoch && !r.probe && !r.gone {
			in = append(in, r)
		}
	}
	if w.cfg.Window.kind == byCount {
		return in[max(0, len(in)-w.cfg.Window.size):]
	}
	bucket := w.bucket(w.cfg.Window)
	return slices.DeleteFunc(in, func(r twinResult) bool {
		return bucket(r.at) <= bucket(w.hi)-int64(w.cfg.Window.buckets)
	})
}

func (w *twin) bucket(win Window) func(patterns.Instant) int64 {
	width := math.Ceil(float64(win.span) / float64(win.buckets))
	return func(at patterns.Instant) int64 { return int64(math.Floor(float64(at) / width)) }
}

func (w *twin) counts() (calls, failures, slow uint64) {
	for _, r := range w.window() {
		calls++
		if r.failed {
			failures++
		}
		if r.slow {
			slow++
		}
	}
	return
}

// runs is how many of the last results in a row failed, and how many succeeded.
func (w *twin) runs() (failures, successes int) {
	for _, r := range slices.Backward(w.results[w.run:]) {
		switch {
		case r.failed && successes == 0:
			failures++
		case !r.failed && failures == 0:
			successes++
		default:
			return
		}
	}
	return
}

func reaches(part, whole uint64, ratio float64) bool {
	r, _ := new(big.Rat).SetString(strconv.FormatFloat(ratio, 'f', -1, 64))
	if ratio == 0 || part == 0 {
		return false
	}
	return new(big.Rat).SetUint64(part).Cmp(r.Mul(r, new(big.Rat).SetUint64(whole))) >= 0
}

func (w *twin) judge() {
	if w.state != Closed {
		return
	}
	failures, _ := w.runs()
	calls, failed, slow := w.counts()
	least := uint64(w.cfg.MinSamples)
	if w.cfg.Window.kind == byCount {
		least = min(least, uint64(w.cfg.Window.size))
	}
	byRun := w.cfg.ConsecutiveFailures > 0 && failures >= w.cfg.ConsecutiveFailures
	byRatio := calls >= least && (reaches(failed, calls, w.cfg.FailureRatio) || reaches(slow, calls, w.cfg.SlowRatio))
	if byRun || byRatio {
		w.open()
	}
}

func (w *twin) become(s State) {
	w.epoch++
	w.state, w.since, w.until, w.ramp, w.probes = s, w.hi, patterns.Never, nil, nil
	if s != Open && s != HalfOpen {
		w.run = len(w.results)
	}
	if s.Forced() {
		w.opens = 0
	}
}

func (w *twin) forgetsOpens() bool {
	return w.state == Closed && w.ramp == nil && w.hi.Sub(w.since) >= w.cfg.ResetOpensAfter
}

func (w *twin) open() {
	if w.forgetsOpens() {
		w.opens = 0
	}
	w.become(Open)
	d := float64(w.cfg.OpenFor)
	for range w.opens {
		d = min(d*w.cfg.OpenFactor, float64(w.cfg.MaxOpenFor))
	}
	w.until = w.hi.Add(time.Duration(d))
	w.opens++
}

func (w *twin) closeAndRamp() {
	w.become(Closed)
	if w.cfg.RampFor > 0 {
		w.ramp = &twinRamp{start: w.cfg.RampStart, lasts: w.cfg.RampFor, from: w.hi}
	}
}

func (w *twin) settle(now patterns.Instant) {
	w.hi = max(w.hi, now)
	for i := 0; w.state == HalfOpen && i < len(w.probes); i++ {
		if p := &w.probes[i]; !p.done && p.by <= w.hi {
			w.endProbe(p, true, false)
		}
	}
	if w.state.Forced() && w.until <= w.hi {
		if w.state == ForcedOpen {
			w.closeAndRamp()
		} else {
			w.become(Closed)
		}
	}
}

func (w *twin) acquire(now patterns.Instant, id uint64) bool {
	w.settle(now)
	if w.state == Open && w.until <= w.hi {
		w.become(HalfOpen)
		w.trial = w.cfg
	}
	switch w.state {
	case Closed:
		return w.rampAdmits()
	case HalfOpen:
		out := w.probesOut()
		if len(out) >= w.trial.ConcurrentProbes || len(w.probes) >= w.trial.Probes {
			return false
		}
		w.probes = append(w.probes, twinProbe{id: id, by: w.hi.Add(w.trial.ProbeTimeout)})
		return true
	}
	return w.state != Open && w.state != ForcedOpen
}

// rampAdmits admits whenever the whole part of the shares offered so far says so.
func (w *twin) rampAdmits() bool {
	if w.rampOver() {
		return true
	}
	w.ramp.offered = append(w.ramp.offered, w.hi)
	sum := 0.0
	for _, at := range w.ramp.offered {
		sum += w.ramp.start + (1-w.ramp.start)*float64(at.Sub(w.ramp.from))/float64(w.ramp.lasts)
	}
	if int(sum+1e-6) <= w.ramp.admitted {
		return false
	}
	w.ramp.admitted++
	return true
}

func (w *twin) rampOver() bool {
	if w.ramp != nil && w.hi.Sub(w.ramp.from) >= w.ramp.lasts {
		w.ramp = nil
	}
	return w.ramp == nil
}

func (w *twin) probesOut() (out []twinProbe) {
	return slices.DeleteFunc(slices.Clone(w.probes), func(p twinProbe) bool { return p.done })
}

func (w *twin) report(now patterns.Instant, p patterns.PermitID, o patterns.Outcome, elapsed time.Duration) bool {
	w.settle(now)
	if p.Epoch != w.epoch {
		return false
	}
	failed, slow := o != patterns.Success, w.cfg.SlowCall > 0 && elapsed > w.cfg.SlowCall
	switch w.state {
	case ForcedClosed:
		return true
	case Closed, MetricsOnly:
		if o != patterns.Ignored {
			w.record(failed, slow, false)
			w.judge()
		}
		return true
	case HalfOpen:
		i := slices.IndexFunc(w.probes, func(q twinProbe) bool { return q.id == p.ID && !q.done })
		if i < 0 {
			return false
		}
		if o == patterns.Ignored {
			w.probes = slices.Delete(w.probes, i, i+1)
		} else {
			w.endProbe(&w.probes[i], failed, slow)
		}
		return true
	}
	return false
}

func (w *twin) record(failed, slow, probe bool) {
	w.results = append(w.results, twinResult{w.hi, failed, slow, probe, w.epoch, false})
}

// endProbe looks at both ends: is it lost even if the rest is good, is it won even
// if the rest is bad.
func (w *twin) endProbe(p *twinProbe, failed, slow bool) {
	p.done, p.failed, p.slow = true, failed, slow
	w.record(failed, slow, true)
	k := uint64(w.trial.Probes)
	bad := func(rest uint64) bool {
		fails, slows := rest, rest
		for _, p := range w.probes {
			if p.done && p.failed {
				fails++
			}
			if p.done && p.slow {
				slows++
			}
		}
		if w.trial.ProbeFailureRatio == 0 {
			return fails > 0 || reaches(slows, k, w.trial.SlowRatio)
		}
		return reaches(fails, k, w.trial.ProbeFailureRatio) || reaches(slows, k, w.trial.SlowRatio)
	}
	done := uint64(len(w.probes) - len(w.probesOut()))
	switch {
	case bad(0):
		w.open()
	case !bad(k - done):
		w.closeAndRamp()
	}
}

func (w *twin) lease(now patterns.Instant) bool {
	w.settle(now)
	return w.state == Closed && w.rampOver() || w.state == ForcedClosed || w.state == MetricsOnly
}

func (w *twin) settleLease(now patterns.Instant, epoch uint64, t patterns.Tally) bool {
	w.settle(now)
	if epoch != w.epoch || w.state == Open || w.state == HalfOpen || w.state == ForcedOpen {
		return false
	}
	if w.state == ForcedClosed {
		return true
	}
	for i := range t.Success {
		w.record(false, w.cfg.SlowCall > 0 && i >= t.Success-t.Slow, false)
	}
	for range t.Failure + t.Dropped {
		w.record(true, false, false)
	}
	w.judge()
	return true
}

func (w *twin) operate(now patterns.Instant, op patterns.Operation) {
	w.settle(now)
	w.become(map[patterns.OperationKind]State{
		patterns.Reset: Closed, patterns.ForceOpen: ForcedOpen, patterns.ForceClosed: ForcedClosed, patterns.MetricsOnly: MetricsOnly,
	}[op.Kind])
	w.opens = 0
	if op.Kind != patterns.Reset && op.For > 0 {
		w.until = w.hi.Add(op.For)
	}
}

func (w *twin) reconfigure(now patterns.Instant, c Config) {
	w.settle(now)
	old, c := w.cfg, c.withDefaults()
	if old == c {
		return
	}
	kept := w.window()
	for i := range w.results {
		w.results[i].gone = true
	}
	w.cfg = c
	// The runs look at all results, the window at these copies only.
	for _, r := range kept {
		if old.Window.kind != c.Window.kind {
			break
		}
		if old.Window.kind == byTime && old.Window != c.Window {
			width := patterns.Instant(math.Ceil(float64(old.Window.span) / float64(old.Window.buckets)))
			r.at = min(patterns.Instant(w.bucket(old.Window)(r.at)+1)*width-1, w.hi)
		}
		w.results = slices.Insert(w.results, w.run, r)
		w.results[w.run].epoch = w.epoch
		w.run++
	}
	if c.Window.kind == byCount {
		w.trim(c.Window.size)
	}
	w.judge()
}

// trim forgets all but the newest results, so that they are not there when the
// window grows again.
func (w *twin) trim(size int) {
	live := func(r twinResult) bool { return r.epoch == w.epoch && !r.probe && !r.gone }
	n := 0
	for i := range slices.Backward(w.results) {
		if live(w.results[i]) {
			n++
			w.results[i].gone = n > size
		}
	}
}

func drawConfig(t *rapid.T) Config {
	ratio := rapid.SampledFrom([]float64{0, 0.1, 0.3, 0.5, 0.7, 1})
	dur := func(label string, least, most int) time.Duration {
		return time.Duration(rapid.IntRange(least, most).Draw(t, label))
	}
	c := Config{
		ConsecutiveFailures: rapid.SampledFrom([]int{0, 0, 1, 2, 3, 7}).Draw(t, "consecutive"),
		FailureRatio:        ratio.Draw(t, "failure ratio"),
		MinSamples:          rapid.IntRange(1, 6).Draw(t, "min samples"),
		Window:              Last(rapid.IntRange(1, 9).Draw(t, "size")),
		OpenFor:             dur("open for", 1, 20),
		Probes:              rapid.IntRange(1, 4).Draw(t, "probes"),
		ProbeFailureRatio:   ratio.Draw(t, "probe failure ratio"),
		ProbeTimeout:        dur("probe timeout", 1, 20),
		ResetOpensAfter:     dur("reset opens after", 0, 20),
		RampFor:             dur("ramp", 0, 1) * 16,
		RampStart:           0.25,
		SlowCall:            dur("slow call", 0, 2),
	}
	c.ConcurrentProbes = rapid.IntRange(1, c.Probes).Draw(t, "concurrent probes")
	if c.SlowCall > 0 {
		c.SlowRatio = ratio.Draw(t, "slow ratio")
	}
	if rapid.Bool().Draw(t, "grows") {
		c.OpenFactor, c.MaxOpenFor = 2, c.OpenFor*5
	}
	if rapid.Bool().Draw(t, "timed") {
		c.Window = During(dur("span", 1, 40)).Buckets(rapid.IntRange(1, 5).Draw(t, "buckets"))
	}
	return c
}

// pair runs a Machine and its twin side by side.
type pair struct {
	m       *Machine
	w       *twin
	now     patterns.Instant
	lastID  uint64
	permits []patterns.PermitID
	leases  []uint64 // epochs
}

func (p *pair) acquire(t *rapid.T) {
	p.lastID++
	d := p.m.Acquire(p.now, p.lastID, nil)
	if granted := p.w.acquire(p.now, p.lastID); granted != (d.Verdict == patterns.Grant) {
		t.Fatalf("granted is %v, the twin's %v", !granted, granted)
	}
	if d.Verdict == patterns.Grant {
		p.permits = append(p.permits, patterns.PermitID{Epoch: d.Epoch, ID: p.lastID})
	}
}

func (p *pair) takePermit(t *rapid.T) (patterns.PermitID, bool) {
	if len(p.permits) == 0 {
		return patterns.PermitID{}, false
	}
	i := rapid.IntRange(0, len(p.permits)-1).Draw(t, "permit")
	id := p.permits[i]
	p.permits = slices.Delete(p.permits, i, i+1)
	return id, true
}

func (p *pair) report(t *rapid.T) {
	id, ok := p.takePermit(t)
	if !ok {
		return
	}
	o := patterns.Outcome(rapid.IntRange(0, 3).Draw(t, "outcome"))
	elapsed := time.Duration(rapid.IntRange(0, 3).Draw(t, "elapsed"))
	counted, _ := p.m.Report(p.now, id, o, elapsed)
	if want := p.w.report(p.now, id, o, elapsed); counted != want {
		t.Fatalf("counted is %v, the twin's %v", counted, want)
	}
}

func (p *pair) release(t *rapid.T) {
	if id, ok := p.takePermit(t); ok {
		p.m.Release(p.now, id)
		p.w.report(p.now, id, patterns.Ignored, 0)
	}
}

func (p *pair) lease(t *rapid.T) {
	n := p.m.Lease(p.now, 4)
	if lent := p.w.lease(p.now); lent != (n == 4) {
		t.Fatalf("lent %d, the twin %v", n, lent)
	}
	if n > 0 {
		p.leases = append(p.leases, p.m.Epoch())
	}
}

func (p *pair) settleLease(t *rapid.T) {
	if len(p.leases) == 0 {
		return
	}
	i := rapid.IntRange(0, len(p.leases)-1).Draw(t, "lease")
	n := func(label string, most int) int { return rapid.IntRange(0, most).Draw(t, label) }
	tally := patterns.Tally{Success: n("success", 4), Failure: n("failure", 2), Dropped: n("dropped", 2), Ignored: n("ignored", 2)}
	tally.Slow = n("slow", tally.Success)
	counted, _ := p.m.SettleLease(p.now, p.leases[i], tally)
	if want := p.w.settleLease(p.now, p.leases[i], tally); counted != want {
		t.Fatalf("counted is %v, the twin's %v", counted, want)
	}
	p.leases = slices.Delete(p.leases, i, i+1)
}

func (p *pair) operate(t *rapid.T) {
	op := patterns.Operation{
		Kind: patterns.OperationKind(rapid.IntRange(0, 3).Draw(t, "operation")),
		For:  time.Duration(rapid.IntRange(0, 20).Draw(t, "for")),
	}
	if err := p.m.Operate(p.now, op); err != nil {
		t.Fatal(err)
	}
	p.w.operate(p.now, op)
}

func (p *pair) reconfigure(t *rapid.T) {
	c := drawConfig(t)
	p.m.Reconfigure(p.now, c)
	p.w.reconfigure(p.now, c)
}

// seen is what of a Snapshot the twin knows too.
type seen struct {
	state                 State
	epoch                 uint64
	calls, failures, slow uint64
	failed, succeeded     int
	retryAt               time.Time
	opens, out, results   int
	ramping               bool
}

func (p *pair) compare(t *rapid.T) {
	s := p.m.Snapshot(p.now, patterns.Counts{})
	got := seen{
		s.State, s.Epoch, s.Calls, s.Failures, s.Slow, s.ConsecutiveFailures, s.ConsecutiveSuccesses,
		s.RetryAt, s.Opens, s.ProbesOut, s.ProbeResults, s.Ramping,
	}
	p.w.settle(p.now)
	want := seen{state: p.w.state, epoch: p.w.epoch, opens: p.w.opens, out: len(p.w.probesOut())}
	want.results = len(p.w.probes) - want.out
	want.calls, want.failures, want.slow = p.w.counts()
	want.failed, want.succeeded = p.w.runs()
	if p.w.forgetsOpens() {
		want.opens = 0
	}
	if (p.w.state == Open || p.w.state == ForcedOpen) && p.w.until != patterns.Never {
		want.retryAt = origin.Add(time.Duration(p.w.until))
	}
	if p.w.ramp != nil {
		want.ramping = p.w.hi.Sub(p.w.ramp.from) < p.w.ramp.lasts
	}
	if got != want {
		t.Fatalf("at %d\n got %+v\nwant %+v", p.now, got, want)
	}
	if err := p.m.Check(); err != nil {
		t.Fatal(err)
	}
}

func TestMachineDoesWhatItsTwinDoes(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		cfg := drawConfig(t)
		if err := cfg.Validate(); err != nil {
			t.Fatal(err)
		}
		p := &pair{m: newTestMachine(cfg), w: newTwin(cfg)}
		actions := map[string]func(*rapid.T){
			"wait": func(t *rapid.T) { p.now = p.now.Add(time.Duration(rapid.IntRange(-3, 12).Draw(t, "wait"))) },
			"tick": func(t *rapid.T) { p.m.Tick(p.now); p.w.settle(p.now) },
			"":     p.compare,

			"release": p.release, "lease": p.lease, "settle lease": p.settleLease,
			"operate": p.operate, "reconfigure": p.reconfigure,
		}
		// Mostly calls, as in life.
		for _, again := range []string{"1", "2", "3", "4", "5"} {
			actions["acquire "+again], actions["report "+again] = p.acquire, p.report
		}
		t.Repeat(actions)
	})
}
