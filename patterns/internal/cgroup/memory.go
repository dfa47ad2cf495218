package cgroup

import "bytes"

// MemoryLimit reads memory.max or memory.high of cgroup v2, or memory.limit_in_bytes of
// v1, of a machine with host bytes. "max", and anything the machine does not have, is no
// limit of its own: the limit is then host. 0 is a limit.
func MemoryLimit(text []byte, host uint64) (limit uint64, limited bool, err error) {
	trimmed := bytes.TrimSpace(text)
	if string(trimmed) == "max" {
		return host, false, nil
	}
	n, ok := number(trimmed)
	switch {
	case !ok:
		return 0, false, malformed("memory limit", text)
	case n >= host:
		return host, false, nil
	}
	return n, true, nil
}

// WorkingSet is what of current bytes cannot be had back by dropping files that nobody
// uses: the kubelet's definition, by which it evicts.
func WorkingSet(current, inactiveFile uint64) uint64 {
	if inactiveFile > current { // the two are not read at one instant
		return 0
	}
	return current - inactiveFile
}

// Full returns used/limit, which may exceed 1. Of a limit of 0 everything is used.
func Full(used, limit uint64) float64 {
	if limit == 0 {
		return 1
	}
	return float64(used) / float64(limit)
}
