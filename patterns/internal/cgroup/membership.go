package cgroup

import (
	"bytes"
	"errors"
)

// Membership is in which groups a process is: the paths of /proc/self/cgroup, each
// beginning with a slash, or empty.
type Membership struct {
	Unified string // the one of v2
	// Those of v1 hierarchies, by controller.
	CPU, CPUAcct, CPUSet, Memory string
}

// ErrNoGroup is of a process in no group that has to do with CPU or memory.
var ErrNoGroup = errors.New("cgroup: /proc/self/cgroup names no group of CPU or memory")

// ParseMembership reads /proc/self/cgroup.
func ParseMembership(text []byte) (Membership, error) {
	var m Membership
	for len(text) > 0 {
		var line []byte
		line, text, _ = bytes.Cut(text, newline())
		id, rest, ok1 := bytes.Cut(line, []byte{':'})
		controllers, path, ok2 := bytes.Cut(rest, []byte{':'}) // the path may have colons
		if _, isNumber := number(id); !ok1 || !ok2 || !isNumber || len(path) == 0 || path[0] != '/' {
			return Membership{}, malformed("/proc/self/cgroup", line)
		}
		if string(id) == "0" && len(controllers) == 0 {
			first(&m.Unified, path)
			continue
		}
		for more := true; more; {
			var c []byte
			c, controllers, more = bytes.Cut(controllers, []byte{','})
			switch string(c) {
			case "cpu":
				first(&m.CPU, path)
			case "cpuacct":
				first(&m.CPUAcct, path)
			case "cpuset":
				first(&m.CPUSet, path)
			case "memory":
				first(&m.Memory, path)
			}
		}
	}
	if m.Version() == 0 {
		return m, ErrNoGroup
	}
	return m, nil
}

func first(where *string, path []byte) {
	if *where == "" {
		*where = string(path)
	}
}

// Version returns whose rules the CPU of the process is under: 1, 2, or 0 for none. In
// a hybrid layout a controller is in one of the two.
func (m Membership) Version() int {
	switch {
	case m.CPU != "":
		return 1
	case m.Unified != "":
		return 2
	case m.CPUAcct != "" || m.CPUSet != "" || m.Memory != "":
		return 1
	}
	return 0
}
