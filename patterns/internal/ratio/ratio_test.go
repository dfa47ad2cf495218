package ratio

import (
	"math"
	"math/big"
	"strconv"
	"testing"

	"pgregory.net/rapid"
)

func TestNewReadsTheShortestDecimal(t *testing.T) {
	tests := []struct {
		f    float64
		want Ratio
	}{
		{0.5, Ratio{5, 10}},
		{0.1, Ratio{1, 10}},
		{0.25, Ratio{25, 100}},
		{0.001, Ratio{1, 1000}},
		{1.0 / 3, Ratio{3333333333333333, 1e16}},
		{1, Ratio{1, 1}},
		{math.Nextafter(1, 0), Ratio{9999999999999999, 1e16}},
		{2, Ratio{1, 1}},
		{math.Inf(1), Ratio{1, 1}},
		{1e-19, Ratio{1, 1e19}},
		{1.29e-18, Ratio{12, 1e19}}, // cut off at the 19th decimal
		{1e-20, Ratio{1, 1e19}},
		{math.SmallestNonzeroFloat64, Ratio{1, 1e19}},
		{0, Ratio{}},
		{-0.5, Ratio{}},
		{math.NaN(), Ratio{}},
		{math.Inf(-1), Ratio{}},
	}
	for _, tt := range tests {
		if got := New(tt.f); got != tt.want {
			t.Errorf("New(%v) = %v, want %v", tt.f, got, tt.want)
		}
	}
}

func TestZeroRatioIsOffAndNeverReached(t *testing.T) {
	if (Ratio{}).On() || (Ratio{}).Reached(1, 1) || Of(1, 0).On() {
		t.Error("the zero Ratio is on")
	}
	if !New(0.1).On() || !Of(1, 3).On() {
		t.Error("a ratio is off")
	}
}

func TestReachedIncludesTheBoundary(t *testing.T) {
	tests := []struct {
		r           Ratio
		part, whole uint64
		want        bool
	}{
		{New(0.5), 1, 2, true},
		{New(0.5), 4, 9, false},
		{New(0.1), 1, 10, true}, // 0.1 as a float is more than a tenth
		{New(0.3), 3, 10, true},
		{New(0.7), 7, 10, true},
		{New(1), 9, 10, false},
		{New(1), 10, 10, true},
		{New(0.5), 0, 0, false},
		{Of(1, 3), 1, 3, true},
		{New(math.Nextafter(1, 0)), math.MaxUint64 - 1, math.MaxUint64, true},
		{New(1), math.MaxUint64 - 1, math.MaxUint64, false},
	}
	for _, tt := range tests {
		if got := tt.r.Reached(tt.part, tt.whole); got != tt.want {
			t.Errorf("%v reached by %d/%d = %v", tt.r, tt.part, tt.whole, got)
		}
	}
}

func TestReachedAgreesWithExactFractions(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		// 19 decimals at most, so that the twin needs no cutting off either.
		f := rapid.Float64Range(0.001, 1).Draw(t, "ratio")
		whole := rapid.OneOf(rapid.Uint64(), rapid.Uint64Range(1, 100)).Draw(t, "whole")
		part := rapid.Uint64Range(0, whole).Draw(t, "part")
		r, ok := new(big.Rat).SetString(strconv.FormatFloat(f, 'f', -1, 64))
		if !ok {
			t.Fatal("not a decimal")
		}
		got := New(f).Reached(part, whole)
		left := new(big.Rat).SetInt(new(big.Int).SetUint64(part))
		right := r.Mul(r, new(big.Rat).SetInt(new(big.Int).SetUint64(whole)))
		if want := part > 0 && left.Cmp(right) >= 0; got != want {
			t.Fatalf("%v reached by %d/%d = %v, want %v", f, part, whole, got, want)
		}
		// right is r·whole by now.
		if got, want := New(f).Part(whole), new(big.Int).Quo(right.Num(), right.Denom()); got != want.Uint64() {
			t.Fatalf("%v of %d = %d, want %v", f, whole, got, want)
		}
	})
}

func TestPartIsRoundedDown(t *testing.T) {
	for _, tt := range []struct {
		r           Ratio
		whole, want uint64
	}{
		{New(0.2), 4, 0},
		{New(0.2), 5, 1},
		{New(0.3), 10, 3},
		{Of(1, 3), 8, 2},
		{New(1), math.MaxUint64, math.MaxUint64},
		{Of(9, 3), 7, 7},
		{New(math.Nextafter(1, 0)), math.MaxUint64, 18446744073709549770},
		{Ratio{}, 100, 0},
		{New(0.5), 0, 0},
	} {
		if got := tt.r.Part(tt.whole); got != tt.want {
			t.Errorf("%v of %d = %d, want %d", tt.r, tt.whole, got, tt.want)
		}
	}
}

func TestReachedDoesNotAllocate(t *testing.T) {
	r := New(0.37)
	if n := testing.AllocsPerRun(100, func() { r = Of(1, 3); _ = r.Reached(36, 100) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}
