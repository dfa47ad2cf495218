package throttle

import (
	"encoding/json"
	"math"
	"os"
	"path/filepath"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/bulwark-go/bulwark/patterns"
)

func TestVectorsToTheLastField(t *testing.T) {
	files, err := filepath.Glob("testdata/sre_throttle_*.json")
	if err != nil || len(files) != 2 {
		t.Fatalf("%d vectors, %v", len(files), err)
	}
	for _, f := range files {
		t.Run(filepath.Base(f), func(t *testing.T) { follow(t, f) })
	}
}

func follow(t *testing.T, file string) {
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var v struct {
		Params struct {
			KNum    float64       `json:"k_num"`
			KDen    float64       `json:"k_den"`
			Bucket  time.Duration `json:"bucket_ns"`
			Buckets int           `json:"buckets"`
			Min     uint64        `json:"min_requests"`
			MaxNum  float64       `json:"max_reject_num"`
			MaxDen  float64       `json:"max_reject_den"`
		} `json:"params"`
		Steps []struct {
			T    patterns.Instant `json:"t_ns"`
			Op   string           `json:"op"`
			Args struct {
				Outcome string `json:"outcome"`
			} `json:"args"`
			Expect struct {
				Requests uint64  `json:"requests"`
				Accepts  uint64  `json:"accepts"`
				P        float64 `json:"p"`
			} `json:"expect"`
		} `json:"steps"`
	}
	if err := json.Unmarshal(text, &v); err != nil {
		t.Fatal(err)
	}
	p := v.Params
	th := New(Config{
		K: p.KNum / p.KDen, Window: p.Bucket * time.Duration(p.Buckets), Buckets: p.Buckets,
		MinRequests: p.Min, MaxShare: p.MaxNum / p.MaxDen,
	})
	refusing := 0
	for i, s := range v.Steps {
		switch s.Op {
		case "request":
			th.Record(s.T, 1, s.Args.Outcome == "accept")
		case "prob":
		default:
			t.Fatalf("step %d: %s", i, s.Op)
		}
		requests, accepts := th.Counts(s.T)
		share := th.Share(s.T)
		if e := s.Expect; requests != e.Requests || accepts != e.Accepts || math.Abs(share-e.P) > 1e-12*e.P {
			t.Fatalf("step %d %s: %d, %d, %v; want %+v", i, s.Args.Outcome, requests, accepts, share, e)
		}
		if share > 0 {
			refusing++
		}
	}
	if refusing < 50 {
		t.Errorf("refuses in %d steps only", refusing)
	}
}

var half = Config{K: 2, Window: time.Minute, Buckets: 60, MaxShare: 1}

func TestTheNumberDrawnDecides(t *testing.T) {
	th := New(half)
	th.Record(0, 9, false) // 9/10
	for u, want := range map[float64]bool{0: true, 0.8999: true, 0.9: false, 0.99: false} {
		if th.Refuse(0, u) != want {
			t.Errorf("%v: %v", u, !want)
		}
	}
	if th.Reset(); th.Refuse(0, 0) {
		t.Error("refuses without a reason")
	}
}

func TestTheShareIsBounded(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		c := Config{
			K: rapid.Float64Range(1, 5).Draw(t, "k"), Window: time.Second, Buckets: rapid.IntRange(1, 9).Draw(t, "buckets"),
			MinRequests: rapid.Uint64Range(0, 9).Draw(t, "min"), MaxShare: rapid.Float64Range(0.1, 1).Draw(t, "most"),
		}
		th, requests, accepts := New(c), 0, 0
		for range 30 {
			n := rapid.IntRange(0, 5).Draw(t, "n")
			before := th.Share(0)
			good := rapid.Bool().Draw(t, "accepted")
			if th.Record(0, n, good); good {
				accepts += n
			}
			requests += n
			share := th.Share(0)
			if !(share >= 0 && share <= c.MaxShare && share <= float64(requests)/float64(requests+1)) {
				t.Fatalf("share %v of %d", share, requests)
			}
			if good && uint64(requests-n) >= c.MinRequests && share > before+1e-12 || accepts == requests && share != 0 {
				t.Fatalf("share %v, before %v, %d of %d accepted", share, before, accepts, requests)
			}
		}
		if got := th.Share(patterns.Instant(2 * time.Second)); got != 0 {
			t.Fatalf("share %v of nothing", got)
		}
	})
}

func TestReconfigureKeepsWhatFits(t *testing.T) {
	th := New(half)
	th.Record(0, 9, false)
	th.Record(patterns.Instant(50*time.Second), 10, false)
	c := half
	c.K, c.Window, c.Buckets, c.MaxShare = 1, 10*time.Second, 10, 0.5
	th.Reconfigure(patterns.Instant(51*time.Second), c)
	if n, _ := th.Counts(patterns.Instant(51 * time.Second)); n != 10 || th.Share(patterns.Instant(51*time.Second)) != 0.5 {
		t.Errorf("%d requests, share %v", n, th.Share(patterns.Instant(51*time.Second)))
	}
	if err := th.Check(); err != nil {
		t.Error(err)
	}
}

// Callers that are refused here count: else a service that takes half of what it is sent
// would be sent all again as soon as it is sent half.
func TestItComesToRestWhereTheOtherSideAcceptsOneInK(t *testing.T) {
	th, u := New(half), uint64(1)
	sent := 0
	now := patterns.Instant(0)
	const rate, capacity = 1000, 300 // per second
	for range 300 {
		taken := 0
		sent = 0
		for range rate {
			now = now.Add(time.Second / rate)
			u = u*6364136223846793005 + 1442695040888963407
			if th.Refuse(now, float64(u>>11)/(1<<53)) {
				th.Record(now, 1, false)
				continue
			}
			sent++
			taken++
			th.Record(now, 1, taken <= capacity)
		}
	}
	if sent < 540 || sent > 660 {
		t.Errorf("%d are sent, want %d", sent, 2*capacity)
	}
}
