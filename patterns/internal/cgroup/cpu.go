package cgroup

import (
	"bytes"
	"math/bits"
)

// Quota is how much CPU time a group may use: Time in each Period. The zero Quota is no
// limit.
type Quota struct{ Time, Period uint64 } // in µs

// Limited reports whether q is a limit.
func (q Quota) Limited() bool { return q.Period != 0 }

// Cores returns how many CPUs q is worth, always above 0; without a limit, 0.
func (q Quota) Cores() float64 {
	if !q.Limited() {
		return 0
	}
	return float64(q.Time) / float64(q.Period)
}

// ParseCPUMax reads cpu.max of cgroup v2: "TIME PERIOD", or "max" with or without one.
func ParseCPUMax(text []byte) (Quota, error) {
	quota, period, two := bytes.Cut(bytes.TrimSpace(text), space())
	if string(quota) == "max" {
		if _, ok := number(period); two && !ok {
			return Quota{}, malformed("cpu.max", text)
		}
		return Quota{}, nil
	}
	q, ok := parseQuota(quota, period)
	if !ok {
		return Quota{}, malformed("cpu.max", text)
	}
	return q, nil
}

// ParseCFS reads cpu.cfs_quota_us and cpu.cfs_period_us of cgroup v1. A quota of -1 is
// none.
func ParseCFS(quota, period []byte) (Quota, error) {
	quota, period = bytes.TrimSpace(quota), bytes.TrimSpace(period)
	if string(quota) == "-1" {
		return Quota{}, nil
	}
	q, ok := parseQuota(quota, period)
	if !ok {
		return Quota{}, malformed("cpu.cfs_quota_us and cpu.cfs_period_us", append(append(bytes.Clone(quota), ' '), period...))
	}
	return q, nil
}

func parseQuota(quota, period []byte) (q Quota, ok bool) {
	t, ok1 := number(quota)
	p, ok2 := number(period)
	if !ok1 || !ok2 || t == 0 || p == 0 {
		return Quota{}, false
	}
	return Quota{t, p}, true
}

// maxCPUs is more than any kernel is built for, and bounds what CountCPUs keeps.
const maxCPUs = 1 << 14

// CountCPUs returns how many CPUs a list such as "0-3,5,7-8" names, each once. An empty
// list is none, and no error: a group that has not been given any.
func CountCPUs(list []byte) (int, error) {
	list = bytes.TrimSpace(list)
	if len(list) == 0 {
		return 0, nil
	}
	var named [maxCPUs / 64]uint64
	for rest, more := list, true; more; {
		var part []byte
		part, rest, more = bytes.Cut(rest, []byte{','})
		first, last, isRange := bytes.Cut(part, []byte{'-'})
		if !isRange {
			last = first
		}
		from, ok1 := number(first)
		to, ok2 := number(last)
		if !ok1 || !ok2 || from > to || to >= maxCPUs {
			return 0, malformed("list of CPUs", list)
		}
		for cpu := from; cpu <= to; cpu++ {
			named[cpu/64] |= 1 << (cpu % 64)
		}
	}
	n := 0
	for _, word := range named {
		n += bits.OnesCount64(word)
	}
	return n, nil
}
