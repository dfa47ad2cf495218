package aqm

import (
	"encoding/json"
	"math"
	"os"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/bulwark-go/bulwark/patterns"
)

const ms = time.Millisecond

func newPIE() PIE { return PIE{Target: 15 * ms, Period: 15 * ms, Burst: 150 * ms} }

func TestPIEFollowsTheVectorToTheLastField(t *testing.T) {
	text, err := os.ReadFile("testdata/pie_01.json")
	if err != nil {
		t.Fatal(err)
	}
	var v struct {
		Params struct {
			Target float64 `json:"target_s"`
			Period float64 `json:"t_update_s"`
			Burst  float64 `json:"max_burst_s"`
			Alpha  float64 `json:"alpha"`
			Beta   float64 `json:"beta"`
		} `json:"params"`
		Steps []struct {
			T    patterns.Instant `json:"t_ns"`
			Op   string           `json:"op"`
			Args struct {
				Delay float64 `json:"qdelay_s"`
			} `json:"args"`
			Expect struct {
				Share float64 `json:"drop_prob"`
			} `json:"expect"`
		} `json:"steps"`
	}
	if err := json.Unmarshal(text, &v); err != nil {
		t.Fatal(err)
	}
	if v.Params.Alpha != pieProportional || v.Params.Beta != pieDifferential || len(v.Steps) < 300 {
		t.Fatalf("%+v, %d steps", v.Params, len(v.Steps))
	}
	seconds := func(s float64) time.Duration { return time.Duration(math.Round(s * 1e9)) }
	p := PIE{Target: seconds(v.Params.Target), Period: seconds(v.Params.Period), Burst: seconds(v.Params.Burst)}
	grew := 0
	for i, s := range v.Steps {
		if s.Op != "update" {
			t.Fatalf("step %d: %s", i, s.Op)
		}
		p.Update(s.T, seconds(s.Args.Delay))
		if got, want := p.Share(), s.Expect.Share; math.Abs(got-want) > 1e-9*want {
			t.Fatalf("step %d: %v, want %v", i, got, want)
		}
		if s.Expect.Share > 0 {
			grew++
		}
	}
	if grew < 100 {
		t.Errorf("the share was above 0 only %d times", grew)
	}
}

// long has waiting take delay for so many Periods.
func (p *PIE) long(delay time.Duration, periods int) {
	for range periods {
		p.Update(p.at.Add(p.Period), delay)
	}
}

func TestPIESparesBurstsAndShortQueues(t *testing.T) {
	p := newPIE()
	p.long(100*ms, 9)
	if p.Share() == 0 {
		t.Fatal("waiting is long, and the share is 0")
	}
	refused := func(waiting int) (n int) {
		for range 100_000 {
			if p.Refuse(waiting) {
				n++
			}
		}
		return n
	}
	if n := refused(9); n != 0 {
		t.Errorf("refused %d in the burst that is allowed", n)
	}
	p.long(100*ms, 1)
	if n := refused(9); n == 0 {
		t.Error("the burst has no end")
	}
	if n := refused(pieFew); n != 0 {
		t.Errorf("refused %d where %d wait", n, pieFew)
	}
	p.before = p.Target/2 - 1
	p.share = 0.19
	if n := refused(9); n != 0 {
		t.Errorf("refused %d though waiting was short", n)
	}
	p.before = p.Target / 2
	if n := refused(9); n == 0 {
		t.Error("nobody is refused though waiting was not that short")
	}
	p.before, p.share = 0, 0.2
	if n := refused(9); n == 0 {
		t.Error("nobody is refused though the share is a fifth")
	}
	p.long(0, 1000)
	if p.Share() != 0 || p.spent != 0 {
		t.Errorf("share %v after a calm, burst spent %v", p.Share(), p.spent)
	}
}

func TestPIERefusesTheShareAsEvenlyAsItCan(t *testing.T) {
	p := newPIE()
	p.long(time.Second, 200)
	p.share = 0.375
	run, refused := 0, 0
	for range 10_000 {
		if run++; p.Refuse(9) {
			refused++
			if run < 2 || run > 3 {
				t.Fatalf("one of %d", run)
			}
			run = 0
		}
	}
	if refused != 3750 {
		t.Errorf("%d of 10000", refused)
	}
}

// A queue whose service takes longer than its Target comes to rest at the Target.
func TestPIEBringsWaitingToItsTarget(t *testing.T) {
	for _, load := range []float64{1.1, 1.5, 3} {
		p := newPIE()
		const serve = 100 * time.Microsecond
		var now, free patterns.Instant
		var sum time.Duration
		n, horizon := 0, patterns.Instant(60*time.Second)
		for gap := time.Duration(float64(serve) / load); now < horizon; now = now.Add(gap) {
			wait := max(free.Sub(now), 0)
			p.Update(now, wait)
			if now > horizon/2 {
				sum += wait
				n++
			}
			if !p.Refuse(int(wait / serve)) {
				free = max(free, now).Add(serve)
			}
		}
		if mean := sum / time.Duration(n); mean < p.Target/2 || mean > 2*p.Target {
			t.Errorf("load %v: waited for %v, share %v", load, mean, p.Share())
		}
	}
}

func TestPIEStaysInBounds(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		p := newPIE()
		now := patterns.Instant(rapid.Int64Range(-1<<40, 1<<40).Draw(t, "begin"))
		for range 50 {
			now = now.Add(time.Duration(rapid.SampledFrom([]int64{0, -5, 1, int64(p.Period) - 1, int64(p.Period), 1 << 50}).Draw(t, "pause")))
			before, due := p.share, !p.begun || now.Sub(p.at) >= p.Period
			p.Update(now, time.Duration(rapid.SampledFrom([]int64{-1, 0, 1, int64(p.Target), 1 << 40, math.MaxInt64}).Draw(t, "delay")))
			if !(p.share >= 0 && p.share <= 1) || !due && p.share != before {
				t.Fatalf("share %v after %v, due %v", p.share, before, due)
			}
			p.Refuse(rapid.IntRange(0, 9).Draw(t, "waiting"))
			if !(p.credit >= 0 && p.credit < 1) {
				t.Fatalf("credit %v", p.credit)
			}
		}
	})
}
