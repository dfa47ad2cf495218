package cgroup

import (
	"bytes"
	"fmt"
	"math"
	"strconv"
)

// malformed is the error for a file's text, which may be anything: it is cut short.
func malformed(what string, text []byte) error {
	const most = 64
	if len(text) > most {
		return fmt.Errorf("cgroup: %s: cannot read %q and %d more bytes", what, text[:most], len(text)-most)
	}
	return fmt.Errorf("cgroup: %s: cannot read %q", what, text)
}

// number reads digits, and nothing but digits.
func number(text []byte) (n uint64, ok bool) {
	if len(text) == 0 {
		return 0, false
	}
	for _, c := range text {
		if c < '0' || c > '9' {
			return 0, false
		}
		d := uint64(c - '0')
		if n > (math.MaxUint64-d)/10 {
			return 0, false
		}
		n = n*10 + d
	}
	return n, true
}

// Count returns the one number that a file such as memory.current, memory.usage_in_bytes
// or cpuacct.usage holds.
func Count(text []byte) (uint64, error) {
	n, ok := number(bytes.TrimSpace(text))
	if !ok {
		return 0, malformed("count", text)
	}
	return n, nil
}

// Stat returns the number that stands behind key in a file of lines "key number", such
// as cpu.stat and memory.stat. Keys that it does not know, and lines of another form,
// may be there: kernels add them.
func Stat(text []byte, key string) (uint64, error) {
	for len(text) > 0 {
		var line []byte
		line, text, _ = bytes.Cut(text, newline())
		name, value, _ := bytes.Cut(line, space())
		if string(name) != key {
			continue
		}
		n, ok := number(bytes.TrimSpace(value))
		if !ok {
			return 0, malformed(key, value)
		}
		return n, nil
	}
	return 0, fmt.Errorf("cgroup: no %s", key)
}

// Micros is Stat for a time in µs, and returns it in ns.
func Micros(text []byte, key string) (uint64, error) {
	n, err := Stat(text, key)
	if err == nil && n > math.MaxUint64/1000 {
		return 0, fmt.Errorf("cgroup: %s: %d µs is out of range", key, n)
	}
	return n * 1000, err
}

// Separators, as functions: a package-level slice could be changed.
func newline() []byte { return []byte{'\n'} }
func space() []byte   { return []byte{' '} }

// decimal reads what the kernel prints for a percentage.
func decimal(text []byte) (f float64, ok bool) {
	for _, c := range text {
		if (c < '0' || c > '9') && c != '.' {
			return 0, false // no sign, exponent, NaN or Inf
		}
	}
	f, err := strconv.ParseFloat(string(text), 64)
	return f, err == nil
}
