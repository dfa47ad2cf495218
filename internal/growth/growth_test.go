package growth

import (
	"math"
	"math/big"
	"testing"
	"time"

	"pgregory.net/rapid"
)

const (
	ms   = time.Millisecond
	most = time.Duration(math.MaxInt64)
)

func TestGeometric(t *testing.T) {
	nan, inf := math.NaN(), math.Inf(1)
	for _, tt := range []struct {
		name        string
		base, limit time.Duration
		factor      float64
		n           int
		want        time.Duration
	}{
		{"the first wait is the base", 100 * ms, time.Second, 2, 0, 100 * ms},
		{"it grows by the factor", 100 * ms, time.Second, 2, 3, 800 * ms},
		{"up to the limit", 100 * ms, time.Second, 2, 4, time.Second},
		{"which it may reach exactly", 100 * ms, 800 * ms, 2, 3, 800 * ms},
		{"part of a nanosecond is rounded up", 3, most, 1.5, 1, 5},
		{"a base above the limit is the limit", 2, 1, 2, 0, 1},
		{"a factor of 1 keeps the base", 7, most, 1, math.MaxInt, 7},
		{"a factor below 1 shrinks it", 8, most, 0.5, 2, 2},
		{"but never to nothing", 8, most, 0.5, 9, 1},
		{"unless it has no more digits", 8, most, 0.5, 5000, 0},
		{"the last power that fits", 1, most, 2, 62, 1 << 62},
		{"the first that does not", 1, most, 2, 63, most},
		{"an infinite power is the limit", 1, most, 2, math.MaxInt, most},
		{"an infinite factor too", 1, most, inf, 1, most},
		{"no base never grows", 0, most, inf, 1, 0},
		{"nor a negative one", -1, most, 2, 5, 0},
		{"a negative limit is none", 1, -1, 2, 5, 0},
		{"a negative step is the first", 7, most, 2, -1, 7},
		{"NaN is no factor", 7, most, nan, 3, 7},
		{"nor is what is not above 0", 7, most, -2, 3, 7},
		{"a large base keeps its last digit", most - 1, most, 2, 0, most - 1},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got := Geometric(tt.base, tt.limit, tt.factor, tt.n); got != tt.want {
				t.Errorf("%d, want %d", got, tt.want)
			}
		})
	}
}

func TestLinear(t *testing.T) {
	for _, tt := range []struct {
		name        string
		base, limit time.Duration
		n           int
		want        time.Duration
	}{
		{"the first wait is the base", 100, 1000, 0, 100},
		{"the second is twice that", 100, 1000, 1, 200},
		{"up to the limit", 100, 950, 9, 950},
		{"which it may reach exactly", 100, 1000, 9, 1000},
		{"and not before", 100, 1001, 9, 1000},
		{"a base above the limit is the limit", 2, 1, 0, 1},
		{"the longest there is", 1, most, math.MaxInt - 1, most},
		{"no overflow", most/2 + 1, most, 1, most},
		{"nor of the count", 1, most, math.MaxInt, most},
		{"no base never grows", 0, most, 5, 0},
		{"nor a negative one", -1, most, 5, 0},
		{"a negative limit is none", 1, -1, 5, 0},
		{"a negative step is the first", 7, most, math.MinInt, 7},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got := Linear(tt.base, tt.limit, tt.n); got != tt.want {
				t.Errorf("%d, want %d", got, tt.want)
			}
		})
	}
}

// The twin multiplies step by step, in fractions that are exact.
func TestGrowthIsThatOfExactFractions(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		base := time.Duration(rapid.Int64Range(1, int64(time.Hour)).Draw(t, "base"))
		limit := time.Duration(rapid.Int64Range(int64(base), math.MaxInt64).Draw(t, "limit"))
		quarters := rapid.Int64Range(4, 20).Draw(t, "quarters")
		d, sum, last := new(big.Rat).SetInt64(int64(base)), new(big.Int), time.Duration(0)
		for n := range 80 {
			want, exact := ceil(d), d.IsInt()
			got := Geometric(base, limit, float64(quarters)/4, n)
			if want.Cmp(big.NewInt(int64(limit))) > 0 {
				if near := new(big.Int).Sub(want, big.NewInt(int64(limit))); got != limit && !tiny(near, want) {
					t.Fatalf("step %d: %d, want %d", n, got, limit)
				}
			} else if off := new(big.Int).Sub(want, big.NewInt(int64(got))); off.Sign() != 0 && (exact && want.BitLen() < 50 || !tiny(off, want)) {
				t.Fatalf("step %d: %d, want %v", n, got, want)
			}
			if got < last || got < min(base, limit) || got > limit {
				t.Fatalf("step %d: %d after %d", n, got, last)
			}
			last = got
			d.Mul(d, big.NewRat(quarters, 4))

			sum.Add(sum, big.NewInt(int64(base)))
			line := time.Duration(math.MaxInt64)
			if sum.IsInt64() {
				line = time.Duration(sum.Int64())
			}
			if got := Linear(base, limit, n); got != min(line, limit) {
				t.Fatalf("line, step %d: %d, want %v", n, got, sum)
			}
		}
	})
}

func ceil(r *big.Rat) *big.Int {
	q, m := new(big.Int).DivMod(r.Num(), r.Denom(), new(big.Int))
	if m.Sign() != 0 {
		q.Add(q, big.NewInt(1))
	}
	return q
}

// tiny reports whether off is at most a nanosecond, or 2^-48 of whole: what a float64 and
// its power lose.
func tiny(off, whole *big.Int) bool {
	off = new(big.Int).Abs(off)
	return off.Cmp(big.NewInt(1)) <= 0 || off.Lsh(off, 48).Cmp(whole) <= 0
}

func TestNoNumbersMakeAWaitNegativeOrTooLong(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		base, limit := time.Duration(rapid.Int64().Draw(t, "base")), time.Duration(rapid.Int64().Draw(t, "limit"))
		factor, n := math.Float64frombits(rapid.Uint64().Draw(t, "factor")), rapid.Int().Draw(t, "n")
		for _, d := range [...]time.Duration{Geometric(base, limit, factor, n), Linear(base, limit, n)} {
			if d < 0 || d > max(limit, 0) {
				t.Fatalf("%d", d)
			}
		}
	})
}

func TestGrowthDoesNotAllocate(t *testing.T) {
	if n := testing.AllocsPerRun(100, func() { Geometric(ms, most, 1.5, 9); Linear(ms, most, 9) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}
