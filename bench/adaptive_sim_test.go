package main

import (
	"context"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/failsafe-go/failsafe-go/adaptivelimiter"
	"github.com/failsafe-go/failsafe-go/priority"

	"github.com/bulwark-go/bulwark/internal/simulation"
	"github.com/bulwark-go/bulwark/patterns"
)

const (
	simulated = "testdata/adaptive_rivals.txt"
	simBest   = "../patterns/adaptive/testdata/best.txt"
	simSeeds  = 3
)

// failsafeInSim drives failsafe-go's real limiter from the simulation. It reads the wall
// clock, which is virtual in a synctest bubble: before each call the bubble sleeps until the
// clock says what the simulation does.
type failsafeInSim struct {
	limiter adaptivelimiter.AdaptiveLimiter[int]
	began   time.Time
	permits map[uint64]adaptivelimiter.Permit
}

//bulwark:bubble
func (f *failsafeInSim) until(now patterns.Instant) {
	time.Sleep(time.Until(f.began.Add(time.Duration(now))))
}

func (f *failsafeInSim) Acquire(now patterns.Instant, id uint64, _ *patterns.Request) patterns.Decision {
	f.until(now)
	p, ok := f.limiter.TryAcquirePermit()
	if !ok {
		return patterns.Decision{Verdict: patterns.Refuse}
	}
	f.permits[id] = p
	return patterns.Decision{Verdict: patterns.Grant}
}

// Report records how long a call took, late or not. Drop would spare the limiter what it
// has to know; it has no word for a loss.
func (f *failsafeInSim) Report(now patterns.Instant, p patterns.PermitID, _ patterns.Outcome, _ time.Duration) (counted, dirty bool) {
	f.until(now)
	f.permits[p.ID].Record()
	delete(f.permits, p.ID)
	return true, false
}

func (*failsafeInSim) Tick(patterns.Instant) bool { return false }

func (*failsafeInSim) Wake() patterns.Instant { return patterns.Never }

// simulateFailsafe scores it with its defaults, but for the limits, which are those that all
// others have: at most 10,000.
func simulateFailsafe(t *testing.T, s simulation.Scenario) (r *simulation.Result) {
	synctest.Test(t, func(*testing.T) {
		l := adaptivelimiter.NewBuilder[int]().WithLimits(1, 10_000, 20).Build()
		r = simulation.Run(s, &failsafeInSim{limiter: l, began: time.Now(), permits: make(map[uint64]adaptivelimiter.Permit)})
	})
	return r
}

func simKey(s simulation.Scenario) string {
	return fmt.Sprintf("%s/%d", strings.ReplaceAll(s.Name, " ", "-"), s.Seed)
}

func simBests(t *testing.T) map[string]simulation.Best {
	t.Helper()
	text, err := os.ReadFile(simBest)
	if err != nil {
		t.Fatal(err)
	}
	all := make(map[string]simulation.Best)
	for line := range strings.Lines(string(text)) {
		var key string
		var b simulation.Best
		var p99 float64
		if _, err := fmt.Sscan(line, &key, &b.Limit, &b.Goodput, &p99, &b.Changed); err != nil {
			t.Fatal(err)
		}
		b.P99 = time.Duration(p99 * float64(time.Millisecond))
		all[key] = b
	}
	return all
}

// versionOf is the version of a module that go.mod asks for.
func versionOf(t *testing.T, module string) string {
	t.Helper()
	text, err := os.ReadFile("go.mod")
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(text)) {
		if f := strings.Fields(line); len(f) >= 2 && f[0] == module {
			return f[1]
		}
	}
	t.Fatalf("no %s in go.mod", module)
	return ""
}

// TestWriteTheScoresOfRivals scores failsafe-go's adaptive limiter as
// patterns/adaptive/testdata/scores.txt does ours, in virtual time:
//
//	BULWARK_SOAK=1 go test -run TestWriteTheScoresOfRivals .
func TestWriteTheScoresOfRivals(t *testing.T) {
	if os.Getenv("BULWARK_SOAK") != "1" {
		t.Skip("for a soak run")
	}
	best := simBests(t)
	var w strings.Builder
	fmt.Fprintf(&w, "failsafe-go %s, adaptivelimiter, scored as patterns/adaptive/testdata/scores.txt is: goodput (mean of %d\n", versionOf(t, "github.com/failsafe-go/failsafe-go"), simSeeds)
	fmt.Fprintf(&w, "seeds, and the worst) and p99 (worst seed) as multiples of the best fixed limit's. Limits 1 to 10,000, 20 at\n")
	fmt.Fprintf(&w, "first; else its defaults. No queue in front.\n\n")
	for _, s := range append(simulation.Scenarios(), simulation.Sizes()...) {
		sum, least, p99, n := 0.0, math.Inf(1), 0.0, 0
		for seed := range uint64(simSeeds) {
			s.Seed = seed + 1
			b, ok := best[simKey(s)]
			if !ok || s.Service.Capacity() > 2e4 && seed > 0 {
				continue
			}
			r := simulateFailsafe(t, s)
			x := r.Goodput() / b.Goodput
			sum, least, n = sum+x, min(least, x), n+1
			p99 = max(p99, float64(r.Latency.Quantile(0.99))/float64(b.P99))
		}
		fmt.Fprintf(&w, "%-14s %.2f %.3f %6.1f\n", s.Name, sum/float64(n), least, p99)
	}
	critical, jain := 1.0, 1.0
	for seed := range uint64(simSeeds) {
		critical = min(critical, failsafePriorities(t, seed+1))
		jain = min(jain, failsafeTenants(t, seed+1))
	}
	fmt.Fprintf(&w, "\ncritical calls at 3x, worst seed, with its queue and Prioritizer   %.4f\n", critical)
	fmt.Fprintf(&w, "Jain, noisy tenant, worst seed, with its queue and UsageTracker     %.4f\n", jain)
	if err := os.WriteFile(simulated, []byte(w.String()), 0o644); err != nil {
		t.Fatal(err)
	}
}

// The bridge is right if a limit that cannot move scores as the simulation's own.
func TestAFixedLimitScoresTheSameThroughTheBridge(t *testing.T) {
	s := simulation.Scenarios()[2]
	s.Warm, s.Last = time.Second, 3*time.Second
	want := simulation.Run(s, &simulation.Fixed{Limit: 14})
	var got *simulation.Result
	synctest.Test(t, func(*testing.T) {
		l := adaptivelimiter.NewBuilder[int]().WithLimits(14, 14, 14).Build()
		got = simulation.Run(s, &failsafeInSim{limiter: l, began: time.Now(), permits: make(map[uint64]adaptivelimiter.Permit)})
	})
	if got.Tally != want.Tally || got.Good == 0 {
		t.Errorf("%+v, want %+v", got.Tally, want.Tally)
	}
}

// live is the reference service with real goroutines for callers and workers, because
// failsafe-go's queue blocks its callers.
type live struct {
	s       simulation.Scenario
	acquire func(ctx context.Context, c simulation.Class) (done func(late bool), err error)
	workers chan struct{}
	offered []uint64
	good    []atomic.Uint64
}

//bulwark:bubble
func (w *live) run(seed uint64) {
	w.workers = make(chan struct{}, w.s.Service.Workers)
	w.offered, w.good = make([]uint64, len(w.s.Classes)), make([]atomic.Uint64, len(w.s.Classes))
	arrivals, services := rand.New(rand.NewPCG(seed, 1)), rand.New(rand.NewPCG(seed, 2))
	total := 0.0
	for _, c := range w.s.Classes {
		total += c.Share
	}
	mean := float64(time.Second) / (w.s.Phases[0].Load * w.s.Service.Capacity())
	sigma := w.s.Service.Sigma
	for began := time.Now(); time.Since(began) < w.s.Last; time.Sleep(time.Duration(arrivals.ExpFloat64() * mean)) {
		class, x := 0, arrivals.Float64()*total
		for x -= w.s.Classes[0].Share; x >= 0 && class+1 < len(w.s.Classes); x -= w.s.Classes[class].Share {
			class++
		}
		takes := time.Duration(math.Exp(math.Log(float64(w.s.Service.Mean)) - sigma*sigma/2 + sigma*services.NormFloat64()))
		scored := time.Since(began) >= w.s.Warm
		if scored {
			w.offered[class]++
		}
		go w.call(class, takes, scored)
	}
	time.Sleep(time.Minute)
}

//bulwark:bubble
func (w *live) call(class int, takes time.Duration, scored bool) {
	ctx, cancel := context.WithTimeout(context.Background(), w.s.Service.Deadline)
	defer cancel()
	done, err := w.acquire(ctx, w.s.Classes[class])
	if err != nil {
		return
	}
	w.workers <- struct{}{}
	time.Sleep(takes)
	<-w.workers
	late := ctx.Err() != nil
	done(late)
	if scored && !late {
		w.good[class].Add(1)
	}
}

// failsafePriorities is the share of the critical calls that were answered in time.
func failsafePriorities(t *testing.T, seed uint64) (critical float64) {
	synctest.Test(t, func(*testing.T) {
		p := adaptivelimiter.NewPrioritizer()
		stop := p.ScheduleCalibrations(context.Background(), 500*time.Millisecond)
		defer stop()
		l := adaptivelimiter.NewBuilder[int]().WithLimits(1, 10_000, 20).WithQueueing(2, 3).BuildPrioritized(p)
		levels := map[patterns.Priority]priority.Priority{patterns.Critical: priority.VeryHigh, patterns.Normal: priority.Medium, patterns.Low: priority.Low}
		w := &live{s: simulation.Priorities(), acquire: func(ctx context.Context, c simulation.Class) (func(bool), error) {
			permit, err := l.AcquirePermitWithPriority(ctx, levels[c.Priority])
			if err != nil {
				return nil, err
			}
			return func(bool) { permit.Record() }, nil
		}}
		w.run(seed)
		critical = float64(w.good[0].Load()) / float64(w.offered[0])
	})
	return critical
}

// failsafeTenants is how evenly tenants are served.
func failsafeTenants(t *testing.T, seed uint64) (jain float64) {
	synctest.Test(t, func(*testing.T) {
		usage := priority.NewUsageTracker(time.Minute, 1000)
		p := adaptivelimiter.NewPrioritizerBuilder().WithUsageTracker(usage).Build()
		stop := p.ScheduleCalibrations(context.Background(), 500*time.Millisecond)
		defer stop()
		l := adaptivelimiter.NewBuilder[int]().WithLimits(1, 10_000, 20).WithQueueing(2, 3).BuildPrioritized(p)
		w := &live{s: simulation.NoisyTenant(), acquire: func(ctx context.Context, c simulation.Class) (func(bool), error) {
			permit, err := l.AcquirePermitWithPriority(priority.ContextWithUser(ctx, c.Key), priority.Medium)
			if err != nil {
				return nil, err
			}
			return func(bool) { permit.Record() }, nil
		}}
		w.run(seed)
		var got, asked []float64
		sum := 0.0
		for i := range w.offered {
			got = append(got, float64(w.good[i].Load()))
			asked = append(asked, float64(w.offered[i]))
			sum += got[i]
		}
		jain = simulation.Jain(got, simulation.MaxMin(sum, asked))
	})
	return jain
}
