package cgroup

import "bytes"

// Stall is how much of the time tasks waited for something.
type Stall struct {
	Avg10, Avg60, Avg300 float64 // percent of the last seconds
	Total                uint64  // µs since the beginning
}

// PSI is a file of pressure stall information. Full says that all tasks waited at once;
// older kernels do not have it for the CPU.
type PSI struct {
	Some, Full Stall
	HasFull    bool
}

// ParsePSI reads a file such as cpu.pressure or /proc/pressure/cpu.
func ParsePSI(text []byte) (PSI, error) {
	var p PSI
	hasSome := false
	for all := text; len(all) > 0; {
		var line []byte
		line, all, _ = bytes.Cut(all, newline())
		kind, fields, _ := bytes.Cut(line, space())
		var into *Stall
		switch {
		case string(kind) == "some" && !hasSome:
			into, hasSome = &p.Some, true
		case string(kind) == "full" && !p.HasFull:
			into, p.HasFull = &p.Full, true
		default:
			continue
		}
		if !into.parse(fields) {
			return PSI{}, malformed("pressure", line)
		}
	}
	if !hasSome {
		return PSI{}, malformed("pressure", text)
	}
	return p, nil
}

// parse reads "avg10=0.00 avg60=0.00 avg300=0.00 total=0", in any order, with more.
func (s *Stall) parse(fields []byte) bool {
	const all = 1 + 2 + 4 + 8
	found := 0
	for len(fields) > 0 {
		var field []byte
		field, fields, _ = bytes.Cut(fields, space())
		name, value, _ := bytes.Cut(field, []byte{'='})
		ok := true
		switch string(name) {
		case "avg10":
			s.Avg10, ok = decimal(value)
			found |= 1
		case "avg60":
			s.Avg60, ok = decimal(value)
			found |= 2
		case "avg300":
			s.Avg300, ok = decimal(value)
			found |= 4
		case "total":
			s.Total, ok = number(value)
			found |= 8
		}
		if !ok {
			return false
		}
	}
	return found == all
}
