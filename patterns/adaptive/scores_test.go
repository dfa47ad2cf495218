package adaptive

import (
	"flag"
	"fmt"
	"math"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/bulwark-go/bulwark/internal/simulation"
)

var rewrite = flag.Bool("rewrite", false, "with BULWARK_SOAK=1, write testdata/best.txt and testdata/scores.txt anew")

const (
	bestFile   = "testdata/best.txt"
	scoresFile = "testdata/scores.txt"
	seeds      = 3
)

func newSubject(a Algorithm, change ...func(*Config)) *Machine {
	c := Config{Algorithm: a, Initial: 20, Min: 1, Max: 10_000} // the same for everybody
	for _, f := range change {
		f(&c)
	}
	return NewMachine(Params{Name: "subject", Config: c, Seed: 7})
}

// big scenarios are for soak runs.
func big(s simulation.Scenario) bool { return s.Service.Capacity() > 2e4 }

func soak() bool { return os.Getenv("BULWARK_SOAK") == "1" }

// seeded returns the scenario with each of the seeds it is scored on.
func seeded(s simulation.Scenario) []simulation.Scenario {
	n := seeds
	if big(s) || !soak() {
		n = 1
	}
	all := make([]simulation.Scenario, n)
	for i := range all {
		all[i] = s
		all[i].Seed = uint64(i + 1)
	}
	return all
}

func experiments() []simulation.Scenario {
	var all []simulation.Scenario
	for _, s := range append(simulation.Scenarios(), simulation.Sizes()...) {
		if soak() || !big(s) {
			all = append(all, s)
		}
	}
	return all
}

func bestKey(s simulation.Scenario) string {
	return fmt.Sprintf("%s/%d", strings.ReplaceAll(s.Name, " ", "-"), s.Seed)
}

// readBest returns what the sweeps over fixed limits found, which takes minutes.
func readBest(t *testing.T) map[string]simulation.Best {
	t.Helper()
	text, err := os.ReadFile(bestFile)
	if err != nil {
		t.Fatal(err)
	}
	all := make(map[string]simulation.Best)
	for line := range strings.Lines(string(text)) {
		var key string
		var b simulation.Best
		var p99 float64
		if _, err := fmt.Sscan(line, &key, &b.Limit, &b.Goodput, &p99, &b.Changed); err != nil {
			t.Fatalf("%s: %q: %v", bestFile, line, err)
		}
		b.P99 = time.Duration(p99 * float64(time.Millisecond))
		all[key] = b
	}
	return all
}

// score is a limiter's result, relative to the best fixed limit.
type score struct {
	goodput, p99 float64
	recovery     time.Duration
	before       float64 // calls in flight before an incident,
	first, last  float64 // in the 20 s after its first 10 s, in its last 20 s,
	after        float64 // and in the end
}

func run(s simulation.Scenario, m *Machine, best simulation.Best) score {
	r := simulation.Run(s, m)
	sc := score{
		goodput: r.Goodput() / best.Goodput,
		p99:     float64(r.Latency.Quantile(0.99)) / float64(best.P99),
	}
	switch s.Name {
	case "step", "slowdown", "loss":
		sc.recovery = r.Recovery(simulation.Change, simulation.ChangeEnd, best.Changed)
	case "incident":
		const start, end, sec = simulation.IncidentStart, simulation.IncidentEnd, time.Second
		sc.before = meanInFlight(r, start-10*sec, start)
		sc.first = meanInFlight(r, start+10*sec, start+30*sec)
		sc.last = meanInFlight(r, end-20*sec, end)
		sc.after = meanInFlight(r, end+10*sec, end+20*sec)
	}
	return sc
}

func meanInFlight(r *simulation.Result, from, to time.Duration) float64 {
	sum, n := 0.0, 0.0
	for _, x := range r.InFlight[from/simulation.Bin : to/simulation.Bin] {
		sum += float64(x)
		n++
	}
	return sum / n
}

// The promise is of one set of options for everything.
func TestThePromisesHold(t *testing.T) {
	best := readBest(t)
	for _, s := range experiments() {
		t.Run(s.Name, func(t *testing.T) {
			for _, s := range seeded(s) {
				sc := run(s, newSubject(Knee{}), best[bestKey(s)])
				t.Logf("seed %d: %+.3v", s.Seed, sc)
				promised(t, s.Name, sc)
			}
		})
	}
}

func promised(t *testing.T, name string, sc score) {
	t.Helper()
	least := 0.95
	if name == "2x" || name == "5x" {
		least = 0.97
		if sc.p99 > 2 {
			t.Errorf("p99 is %.2f of the best", sc.p99)
		}
	}
	if !(sc.goodput >= least) {
		t.Errorf("goodput is %.3f of the best", sc.goodput)
	}
	if sc.recovery > time.Second {
		t.Errorf("recovery takes %v", sc.recovery)
	}
	if name == "incident" {
		drift := math.Abs(math.Log(sc.last / sc.first))
		stays := math.Abs(math.Log(sc.after / sc.before))
		if drift > math.Log(1.25) || stays > math.Log(1.25) {
			t.Errorf("in flight before %.1f, in the incident from %.1f to %.1f, after %.1f", sc.before, sc.first, sc.last, sc.after)
		}
	}
}

// A queue in front has callers wait who could not be served at once, and nobody work for
// them in vain.
func TestAQueueInFrontWastesNoWork(t *testing.T) {
	best := readBest(t)
	for q := range queues {
		queued := func(c *Config) { c.MaxWaiting, c.Queue, c.RefuseFrom = 50, q, float64(q%2)*2 }
		for _, s := range simulation.Scenarios() {
			for _, s := range seeded(s) {
				sc := run(s, newSubject(Knee{}, queued), best[bestKey(s)])
				least, most := 0.94, 5.0
				if s.Name == "bursts" {
					least = 0.98
				}
				if s.Name == "slowdown" { // whose first second is all that is in the queue
					least = 0.92
				}
				if !(sc.goodput >= least) || sc.p99 > most {
					t.Errorf("%v, %s, seed %d: goodput %.3f, p99 %.1f", q, s.Name, s.Seed, sc.goodput, sc.p99)
				}
			}
		}
		for _, s := range seeded(simulation.Priorities()) {
			if critical, goodput := priorities(s, newSubject(Knee{}, queued)); critical < 0.995 || goodput < 0.92 {
				t.Errorf("%v, seed %d: %.4f of the critical calls, and goodput %.3f of capacity", q, s.Seed, critical, goodput)
			}
		}
		for _, s := range seeded(simulation.NoisyTenant()) {
			fair := func(c *Config) { c.Fair = true }
			if jain, goodput := tenancy(s, newSubject(Knee{}, queued, fair)); jain < 0.98 || goodput < 0.95 {
				t.Errorf("%v, seed %d: Jain %.4f, and goodput %.3f of capacity", q, s.Seed, jain, goodput)
			}
		}
	}
}

func TestCriticalCallsGetThroughAtThreeTimesCapacity(t *testing.T) {
	for _, s := range seeded(simulation.Priorities()) {
		if critical, goodput := priorities(s, newSubject(Knee{})); critical < 0.995 || goodput < 0.95 {
			t.Errorf("seed %d: %.4f of the critical calls, and goodput %.3f of capacity", s.Seed, critical, goodput)
		}
	}
}

func priorities(s simulation.Scenario, m *Machine) (critical, goodput float64) {
	r := simulation.Run(s, m)
	return float64(r.Classes[0].Good) / float64(r.Classes[0].Offered), r.Goodput() / s.Service.Capacity()
}

func TestANoisyTenantLeavesTheOthersTheirShare(t *testing.T) {
	for _, s := range seeded(simulation.NoisyTenant()) {
		if jain, goodput := tenancy(s, newSubject(Knee{}, func(c *Config) { c.Fair = true })); jain < 0.98 || goodput < 0.95 {
			t.Errorf("seed %d: Jain %.4f, and goodput %.3f of capacity", s.Seed, jain, goodput)
		}
	}
}

func tenancy(s simulation.Scenario, m *Machine) (jain, goodput float64) {
	r := simulation.Run(s, m)
	var asked, got []float64
	for _, c := range r.Classes {
		asked = append(asked, float64(c.Offered))
		got = append(got, float64(c.Good))
	}
	return simulation.Jain(got, simulation.MaxMin(float64(r.Good), asked)), r.Goodput() / s.Service.Capacity()
}
