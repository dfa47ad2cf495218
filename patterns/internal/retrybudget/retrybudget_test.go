package retrybudget

import (
	"encoding/json"
	"math"
	"math/big"
	"os"
	"strconv"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/bulwark-go/bulwark/patterns"
)

const sec = patterns.Instant(time.Second)

type vector struct {
	Params struct {
		TTL       time.Duration `json:"ttl_ns"`
		PerSecond int           `json:"min_per_s"`
		Percent   float64       `json:"percent"`
		Num       float64       `json:"num"`
		Den       float64       `json:"den"`
		Min       int           `json:"min_concurrency"`
	} `json:"params"`
	Steps []struct {
		T      patterns.Instant `json:"t_ns"`
		Op     string           `json:"op"`
		Expect struct {
			Granted    *bool  `json:"granted"`
			Balance    int64  `json:"balance"`
			Executions uint64 `json:"executions"`
			Extra      uint64 `json:"extra"`
		} `json:"expect"`
	} `json:"steps"`
}

func read(t *testing.T, file string, steps int) (v vector) {
	text, err := os.ReadFile(file)
	if err == nil {
		err = json.Unmarshal(text, &v)
	}
	if err != nil || len(v.Steps) != steps {
		t.Fatalf("%d steps, %v", len(v.Steps), err)
	}
	return v
}

func TestTheWindowFollowsItsVector(t *testing.T) {
	v := read(t, "testdata/retry_budget_window.json", 400)
	w := NewWindow(WindowConfig{Share: v.Params.Percent, PerSecond: v.Params.PerSecond, TTL: v.Params.TTL})
	refused := 0
	for i, s := range v.Steps {
		var granted bool
		switch s.Op {
		case "deposit":
			w.Deposit(s.T, 1)
		case "withdraw":
			granted = w.Take(s.T)
		default:
			t.Fatalf("step %d: %s", i, s.Op)
		}
		if want := s.Expect; (want.Granted != nil) != (s.Op == "withdraw") || want.Granted != nil && granted != *want.Granted || max(w.Left(s.T), 0) != want.Balance {
			t.Fatalf("step %d %s: %v, %d left, want %+v", i, s.Op, granted, w.Left(s.T), want)
		}
		if s.Op == "withdraw" && !granted {
			refused++
		}
	}
	if c := w.Counts(); refused == 0 || c.Suppressed != uint64(refused) {
		t.Errorf("%d were refused, %+v", refused, c)
	}
}

func TestTheConcurrentOneFollowsItsVector(t *testing.T) {
	v := read(t, "testdata/retry_budget_concurrent.json", 200)
	c := NewConcurrent(v.Params.Num/v.Params.Den, v.Params.Min)
	for i, s := range v.Steps {
		granted := false
		switch s.Op {
		case "start":
			c.Begin(1)
		case "end":
			c.End(1)
		case "retry":
			granted = c.Take()
		case "retry_end":
			c.Give()
		default:
			t.Fatalf("step %d: %s", i, s.Op)
		}
		all, extra := c.Running()
		if want := s.Expect; want.Granted != nil && granted != *want.Granted || all != want.Executions || extra != want.Extra {
			t.Fatalf("step %d %s: %v, %d, %d, want %+v", i, s.Op, granted, all, extra, want)
		}
		if err := c.Check(); err != nil {
			t.Fatal(err)
		}
	}
}

// event is what the twins keep lists of.
type event struct {
	at    patterns.Instant
	n     int
	extra bool
}

// held returns the first and the extra attempts in the ten slots up to that of now.
func held(list []event, now patterns.Instant, ttl time.Duration) (first, extra int64) {
	width := (int64(ttl) + 9) / 10
	slot := func(at patterns.Instant) int64 { return int64(math.Floor(float64(at) / float64(width))) }
	for _, e := range list {
		if slot(e.at) > slot(now)-10 {
			if e.extra {
				extra += int64(e.n)
			} else {
				first += int64(e.n)
			}
		}
	}
	return first, extra
}

// share is how many extra attempts a share of first ones is: in exact fractions.
func share(t *rapid.T, f float64, first int64) int64 {
	r, ok := new(big.Rat).SetString(strconv.FormatFloat(f, 'f', -1, 64))
	if !ok {
		t.Fatal("not a decimal")
	}
	r.Mul(r, new(big.Rat).SetInt64(first))
	return new(big.Int).Quo(r.Num(), r.Denom()).Int64()
}

// In no ten slots are there more extra attempts than the share of the first ones there, and
// the reserve. Whoever is refused would have been one too many.
func TestTheWindowGrantsItsShareAndNoMore(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		c := WindowConfig{
			Share:     rapid.OneOf(rapid.Just(0.0), rapid.Float64Range(0.001, 1)).Draw(t, "share"),
			PerSecond: rapid.IntRange(0, 3).Draw(t, "per second"),
			TTL:       time.Duration(rapid.Int64Range(int64(time.Second), int64(20*time.Second)).Draw(t, "ttl")),
		}
		w, list := NewWindow(c), []event(nil)
		now := patterns.Instant(rapid.Int64Range(-int64(time.Minute), int64(time.Minute)).Draw(t, "begin"))
		hi, begun := now, false
		asked, first := uint64(0), uint64(0)
		for range rapid.IntRange(1, 80).Draw(t, "steps") {
			now = now.Add(time.Duration(rapid.OneOf(rapid.Int64Range(0, int64(c.TTL/5)), rapid.Int64Range(-int64(time.Second), int64(c.TTL*2)), rapid.Just(int64(0))).Draw(t, "wait")))
			if hi = max(hi, now); !begun {
				hi, begun = now, true
			}
			reserve := int64(float64(c.PerSecond) * c.TTL.Seconds())
			fresh, extra := held(list, hi, c.TTL)
			left := reserve + share(t, c.Share, fresh) - extra
			if got := w.Left(now); got != left {
				t.Fatalf("%d left, want %d", got, left)
			}
			if rapid.Bool().Draw(t, "extra") {
				granted := w.Take(now)
				if granted != (left > 0) {
					t.Fatalf("granted: %v, and %d left", granted, left)
				}
				if asked++; granted {
					list = append(list, event{hi, 1, true})
				}
			} else {
				n := rapid.IntRange(-1, 30).Draw(t, "n")
				w.Deposit(now, n)
				list = append(list, event{hi, max(n, 0), false})
				first += uint64(max(n, 0))
			}
			if got := w.Counts(); got.Extras+got.Suppressed != asked || got.Requests != first || w.Check() != nil {
				t.Fatalf("%+v of %d and %d", got, first, asked)
			}
		}
	})
}

func TestDepositsInBulkAreManyDeposits(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		c := WindowConfig{Share: 0.3, PerSecond: 1, TTL: 10 * time.Second}
		one, bulk, now := NewWindow(c), NewWindow(c), patterns.Instant(0)
		for range 20 {
			now = now.Add(time.Duration(rapid.Int64Range(0, int64(3*sec)).Draw(t, "wait")))
			n := rapid.IntRange(0, 9).Draw(t, "n")
			bulk.Deposit(now, n)
			for range n {
				one.Deposit(now, 1)
			}
			if a, b := one.Take(now), bulk.Take(now); a != b || one.Counts() != bulk.Counts() {
				t.Fatalf("%v and %v", a, b)
			}
		}
	})
}

func TestWindow(t *testing.T) {
	c := WindowConfig{Share: 0.2, PerSecond: 1, TTL: 10 * time.Second}
	take := func(w *Window, now patterns.Instant) (n int) {
		for n < 100 && w.Take(now) {
			n++
		}
		return n
	}
	t.Run("who calls rarely has the reserve, and no more of it", func(t *testing.T) {
		w := NewWindow(c)
		if n := take(&w, 5*sec); n != 10 || w.Left(14*sec) != 0 || w.Left(15*sec) != 10 {
			t.Errorf("%d, then %d and %d", n, w.Left(14*sec), w.Left(15*sec))
		}
	})
	t.Run("an extra attempt may outlive what it was granted for", func(t *testing.T) {
		w := NewWindow(WindowConfig{Share: 0.2, TTL: 10 * time.Second})
		w.Deposit(0, 5)
		w.Deposit(9*sec, 4)
		if n := take(&w, 9*sec); n != 1 || w.Left(10*sec) != -1 || w.Take(10*sec) || w.Left(19*sec) != 0 {
			t.Errorf("%d, then %d and %d", n, w.Left(10*sec), w.Left(19*sec))
		}
	})
	t.Run("a decimal share is meant as it is written", func(t *testing.T) {
		w := NewWindow(WindowConfig{Share: 0.3, TTL: 10 * time.Second})
		w.Deposit(0, 10)
		if n := take(&w, 0); n != 3 {
			t.Errorf("%d of 10", n)
		}
		w.Deposit(0, math.MaxInt)
		if left := w.Left(0); left != (most+10)*3/10-3 {
			t.Errorf("%d left", left)
		}
	})
	t.Run("without a share there is the reserve", func(t *testing.T) {
		w := NewWindow(WindowConfig{PerSecond: 2, TTL: 1500 * time.Millisecond})
		w.Deposit(0, 1000)
		if n := take(&w, 0); n != 3 {
			t.Errorf("%d", n)
		}
	})
	t.Run("the largest reserve does not overflow, and a negative one is none", func(t *testing.T) {
		w := NewWindow(WindowConfig{Share: 1, PerSecond: math.MaxInt, TTL: math.MaxInt64})
		if w.Deposit(0, 1); w.Left(0) != 1<<53+1 {
			t.Errorf("%d left", w.Left(0))
		}
		w = NewWindow(WindowConfig{PerSecond: -1, TTL: time.Second})
		if w.Left(0) != 0 {
			t.Errorf("%d left", w.Left(0))
		}
	})
	t.Run("reconfiguring keeps the attempts that fit", func(t *testing.T) {
		w := NewWindow(c)
		w.Deposit(0, 100)
		w.Deposit(9*sec, 10)
		w.Take(9 * sec)
		w.Reconfigure(9*sec, WindowConfig{Share: 0.5, TTL: 10 * time.Second})
		if left := w.Left(9 * sec); left != 54 {
			t.Errorf("%d left", left)
		}
		w.Reconfigure(9*sec, WindowConfig{Share: 0.5, TTL: 5 * time.Second})
		if left := w.Left(9 * sec); left != 4 || w.Counts() != (Counts{Requests: 110, Extras: 1}) {
			t.Errorf("%d left, %+v", left, w.Counts())
		}
	})
}

func TestTheConcurrentOneNeverRunsMoreThanItMay(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		f := rapid.OneOf(rapid.Just(0.0), rapid.Float64Range(0.001, 1)).Draw(t, "share")
		least := rapid.IntRange(-1, 4).Draw(t, "least")
		c := NewConcurrent(f, least)
		first, extra, asked := 0, 0, 0
		for range rapid.IntRange(1, 100).Draw(t, "steps") {
			switch rapid.SampledFrom([]string{"begin", "end", "take", "take", "give"}).Draw(t, "op") {
			case "begin":
				n := rapid.IntRange(-1, 9).Draw(t, "n")
				c.Begin(n)
				first += max(n, 0)
			case "end":
				n := rapid.IntRange(-1, first).Draw(t, "n")
				c.End(n)
				first -= max(n, 0)
			case "give":
				if extra > 0 {
					c.Give()
					extra--
				}
			case "take":
				asked++
				may := int64(extra) < int64(least) || int64(extra) <= share(t, f, int64(first+extra))
				if c.Take() != may {
					t.Fatalf("%d extra ones of %d: granted %v", extra, first+extra, !may)
				}
				if may {
					extra++
				}
			}
			all, x := c.Running()
			if n := c.Counts(); int(all) != first+extra || int(x) != extra || int(n.Extras+n.Suppressed) != asked || c.Check() != nil {
				t.Fatalf("%d, %d, %+v, want %d and %d of %d", all, x, n, first, extra, asked)
			}
		}
	})
}

func TestEndingMoreThanRanIsAMistake(t *testing.T) {
	for name, f := range map[string]func(*Concurrent){
		"a first attempt":  func(c *Concurrent) { c.End(2) },
		"an extra attempt": func(c *Concurrent) { c.Give() },
	} {
		t.Run(name, func(t *testing.T) {
			c := NewConcurrent(0.2, 3)
			c.Begin(1)
			defer func() {
				if recover() == nil {
					t.Error("it did not panic")
				}
				if all, _ := c.Running(); all != 1 {
					t.Errorf("%d run", all)
				}
			}()
			f(&c)
		})
	}
}

func TestCheckFindsMoreThanBegan(t *testing.T) {
	for _, c := range []Concurrent{{first: 1}, {extra: 1}} {
		if c.Check() == nil {
			t.Errorf("%+v is found sound", c)
		}
	}
}

func TestTakingDoesNotAllocate(t *testing.T) {
	w, c := NewWindow(WindowConfig{Share: 0.2, PerSecond: 1, TTL: 10 * time.Second}), NewConcurrent(0.2, 3)
	now := patterns.Instant(0)
	if n := testing.AllocsPerRun(1000, func() {
		now = now.Add(time.Second / 7)
		w.Deposit(now, 3)
		w.Take(now)
		c.Begin(2)
		if c.End(1); c.Take() {
			c.Give()
		}
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func BenchmarkWindow(b *testing.B) {
	w := NewWindow(WindowConfig{Share: 0.2, PerSecond: 1, TTL: 10 * time.Second})
	now := patterns.Instant(0)
	for b.Loop() {
		now += 1000
		w.Deposit(now, 1)
		w.Take(now)
	}
}
