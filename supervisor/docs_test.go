package supervisor

import (
	"fmt"
	"os"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/bulwark-go/bulwark/supervisor/backoff"
	"github.com/bulwark-go/bulwark/supervisor/budget"
	"github.com/bulwark-go/bulwark/supervisor/intensity"
	"github.com/bulwark-go/bulwark/supervisor/rules"
)

// page is the documentation. Its numbers are compared with the code's.
const page = "../docs/supervision.md"

func TestDocumentedOptionsAreTheRealOnes(t *testing.T) {
	text, err := os.ReadFile(page)
	if err != nil {
		t.Fatal(err)
	}
	d := Config{
		Breaker: BreakerConfig{Intensity: 5}, Quarantine: QuarantineConfig{Failures: 1}, Correlated: CorrelatedConfig{Share: 0.5},
	}.Normal()
	b, q, g := d.Breaker, d.Quarantine, d.Correlated
	want := map[string]string{
		"Name": "the PID's id", "Scope": "`One`", "HoldFor": brief(d.HoldFor), "AtTop": "`KeepRunning`",
		"Intensity.Restarts": fmt.Sprint(intensity.DefaultRestarts, ", but unlimited if any part below is set"),
		"Intensity.Period":   brief(intensity.DefaultPeriod),
		"Backoff.Base":       brief(backoff.DefaultBase), "Backoff.Factor": fmt.Sprint(backoff.DefaultFactor), "Backoff.Max": brief(backoff.DefaultMax),
		"Backoff.ResetAfter": brief(backoff.DefaultResetAfter), "Backoff.Jitter": fmt.Sprint(backoff.DefaultJitter),
		"Breaker.Intensity": fmt.Sprint(b.Intensity), "Breaker.Period": brief(b.Period), "Breaker.OpenFor": brief(b.OpenFor),
		"Breaker.OpenFactor": fmt.Sprint(b.OpenFactor), "Breaker.MaxOpenFor": "`OpenFor`, or 16 times that with a factor",
		"Breaker.OpenJitter": "off", "Breaker.ResetOpensAfter": "off", "Breaker.Probes": fmt.Sprint(b.Probes), "Breaker.ProbeFor": brief(b.ProbeFor),
		"Quarantine.Failures": "off", "Quarantine.Period": brief(q.Period),
		"Budget.Burst": fmt.Sprint(budget.DefaultBurst), "Budget.Every": brief(budget.DefaultEvery),
		"Correlated.Share": "off", "Correlated.Within": brief(g.Within), "Correlated.MinFailed": fmt.Sprint(g.MinFailed),
		"Correlated.OpenFor": brief(g.OpenFor), "Correlated.OpenFactor": fmt.Sprint(g.OpenFactor),
		"Correlated.MaxOpenFor": "`OpenFor`, or 16 times that with a factor", "Correlated.ProbeFor": brief(g.ProbeFor),
	}
	_, options, _ := strings.Cut(string(text), "\n## Options\n")
	row := regexp.MustCompile("(?m)^\\| `([A-Z][A-Za-z.]+)` \\| (.+) \\| (.+) \\|$")
	for _, m := range row.FindAllStringSubmatch(options, -1) {
		if want[m[1]] != m[3] {
			t.Errorf("%s is %q by default, and not %q", m[1], want[m[1]], m[3])
		}
		delete(want, m[1])
	}
	for field := range want {
		t.Errorf("%s is not documented", field)
	}
	for _, number := range []string{
		fmt.Sprintf("1 to %s,", grouped(intensity.MaxRestarts)), fmt.Sprintf("1 to %s |", grouped(intensity.MaxRestarts)),
		fmt.Sprintf("messages, 1 to %s ", grouped(rules.MaxProbes)), fmt.Sprintf("1 to %s |", grouped(budget.MaxBurst)),
		"up to " + brief(budget.MaxEvery.Truncate(time.Hour)) + " ", fmt.Sprintf("Its last %d failures", historyLength),
		brief(DefaultShutdown) + " by default", "after one more second at most",
	} {
		if !strings.Contains(string(text), number) {
			t.Errorf("it does not say %q", number)
		}
	}
	if DrainGrace != time.Second {
		t.Error("the grace of a drain is not a second")
	}
}

// brief is d without its zero parts.
func brief(d time.Duration) string {
	s := d.String()
	for _, zero := range []string{"m0s", "h0m"} {
		if strings.HasSuffix(s, zero) {
			s = strings.TrimSuffix(s, zero[1:])
		}
	}
	return s
}

func grouped(n int) string { return fmt.Sprintf("%d,%03d", n/1000, n%1000) }
