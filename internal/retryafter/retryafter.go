// Package retryafter reads HTTP's Retry-After (RFC 9110, section 10.2.3): how long the
// other side asks to be left alone.
package retryafter

import (
	"strings"
	"time"
)

// Parse returns how long value asks to wait from now: a number of seconds, or the time
// until a date, in any of the three forms that HTTP knows; not below 0, nor above most.
// ok is false if it is neither, and then it is to be ignored.
//
// now is a wall clock's: best the Date of the answer that value came with, read by Date,
// since then it does not matter whose clock is wrong.
func Parse(value string, now time.Time, most time.Duration) (wait time.Duration, ok bool) {
	value = trim(value)
	if wait, ok = seconds(value, most); ok {
		return wait, true
	}
	at, ok := Date(value, now)
	if !ok {
		return 0, false
	}
	return max(min(at.Sub(now), most), 0), true
}

// Longest is Parse for a header that came several times: it returns the longest wait that
// any of values asks for, and false if none does.
func Longest(values []string, now time.Time, most time.Duration) (wait time.Duration, ok bool) {
	for _, v := range values {
		if w, valid := Parse(v, now, most); valid {
			wait, ok = max(wait, w), true
		}
	}
	return wait, ok
}

// seconds reads digits: no sign, point or unit. However many there are, they are at most
// most.
func seconds(s string, most time.Duration) (time.Duration, bool) {
	if s == "" {
		return 0, false
	}
	longest := max(most, 0) / time.Second
	n, over := time.Duration(0), false
	for _, c := range []byte(s) {
		if c < '0' || c > '9' {
			return 0, false
		}
		// Once it is over it stays so, whatever n is: digits only make it larger.
		if n = n*10 + time.Duration(c-'0'); n > longest {
			n, over = 0, true
		}
	}
	if over {
		return max(most, 0), true
	}
	return n * time.Second, true
}

func trim(s string) string { return strings.Trim(s, " \t") }
