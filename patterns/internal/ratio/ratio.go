// Package ratio compares shares exactly: integers decide, floats only configure.
package ratio

import (
	"math/bits"
	"strconv"
	"strings"
)

// maxDecimals is how many fit: 10^19 is the largest power of ten in a uint64.
const maxDecimals = 19

// Ratio is a fraction in (0, 1]. The zero Ratio is off: no share reaches it.
type Ratio struct{ num, den uint64 }

// New returns the fraction that f's shortest decimal says, so that 0.1 is one
// tenth and not the nearest double. Decimals beyond the 19th are cut off, but never
// to nothing. NaN and anything not above 0 is off; what is above 1 is 1.
func New(f float64) Ratio {
	if !(f > 0) {
		return Ratio{}
	}
	if f >= 1 {
		return Ratio{1, 1}
	}
	mantissa, exponent, _ := strings.Cut(strconv.FormatFloat(f, 'e', -1, 64), "e")
	exp, _ := strconv.Atoi(exponent) // FormatFloat wrote it
	digits := strings.Replace(mantissa, ".", "", 1)
	num, _ := strconv.ParseUint(digits, 10, 64) // at most 17 digits
	decimals := len(digits) - 1 - exp
	for ; decimals > maxDecimals && num > 0; decimals-- {
		num /= 10
	}
	return Ratio{max(num, 1), pow10(min(decimals, maxDecimals))}
}

// Of returns num/den. It is off if den is 0.
func Of(num, den uint64) Ratio { return Ratio{num, den} }

// On reports whether r is a fraction at all.
func (r Ratio) On() bool { return r.den != 0 }

// Reached reports whether part/whole >= r. No part reaches nothing.
func (r Ratio) Reached(part, whole uint64) bool {
	if part == 0 || r.den == 0 {
		return false
	}
	leftHigh, leftLow := bits.Mul64(part, r.den)
	rightHigh, rightLow := bits.Mul64(r.num, whole)
	return leftHigh > rightHigh || leftHigh == rightHigh && leftLow >= rightLow
}

// Part returns r·whole, rounded down; 0 if r is off.
func (r Ratio) Part(whole uint64) uint64 {
	if r.num >= r.den {
		if r.den == 0 {
			return 0
		}
		return whole
	}
	high, low := bits.Mul64(r.num, whole)
	part, _ := bits.Div64(high, low, r.den) // high < num < den
	return part
}

func pow10(n int) uint64 {
	p := uint64(1)
	for range n {
		p *= 10
	}
	return p
}
