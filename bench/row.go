package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"slices"
)

// sample is the outcome of one measurement, and of several: the medians. What the
// method does not measure is 0.
type sample struct {
	NsPerOp     float64 `json:"ns_per_op"` // wall time over operations of all goroutines
	AllocsPerOp float64 `json:"allocs_per_op"`
	BytesPerOp  float64 `json:"bytes_per_op"`
	OpsPerS     float64 `json:"ops_per_s"`

	// How long single calls took. Only the closed loop times calls.
	P50   float64 `json:"p50_ns"`
	P99   float64 `json:"p99_ns"`
	P999  float64 `json:"p999_ns"`
	P9999 float64 `json:"p9999_ns"`
	Max   float64 `json:"max_ns"` // of all rounds

	// Completed by the caller with the fewest calls and by the one with the most, in
	// the round where they were furthest apart. Only in the closed loop.
	FewestCalls float64 `json:"fewest_calls"`
	MostCalls   float64 `json:"most_calls"`

	RetainedBytes float64 `json:"retained_bytes"` // heap that one idle subject keeps

	CPU float64 `json:"cpu_share"` // processors that the program kept busy meanwhile
}

// metric names a number of a sample as the JSON does.
type metric string

const (
	nsPerOp       metric = "ns_per_op"
	allocsPerOp   metric = "allocs_per_op"
	bytesPerOp    metric = "bytes_per_op"
	opsPerS       metric = "ops_per_s"
	p50           metric = "p50_ns"
	p99           metric = "p99_ns"
	p999          metric = "p999_ns"
	p9999         metric = "p9999_ns"
	longest       metric = "max_ns"
	retainedBytes metric = "retained_bytes"
	cpuShare      metric = "cpu_share"
)

var metrics = []metric{nsPerOp, allocsPerOp, bytesPerOp, opsPerS, p50, p99, p999, p9999, longest, retainedBytes, cpuShare}

// words names the metric for people.
func (m metric) words() string {
	switch m {
	case nsPerOp:
		return "ns per call"
	case allocsPerOp:
		return "allocs per call"
	case bytesPerOp:
		return "bytes per call"
	case opsPerS:
		return "calls/s"
	case p50:
		return "p50"
	case p99:
		return "p99"
	case p999:
		return "p99.9"
	case p9999:
		return "p99.99"
	case longest:
		return "longest wait"
	case retainedBytes:
		return "bytes kept"
	case cpuShare:
		return "processors busy"
	}
	return string(m)
}

func (s *sample) at(m metric) *float64 {
	switch m {
	case nsPerOp:
		return &s.NsPerOp
	case allocsPerOp:
		return &s.AllocsPerOp
	case bytesPerOp:
		return &s.BytesPerOp
	case opsPerS:
		return &s.OpsPerS
	case p50:
		return &s.P50
	case p99:
		return &s.P99
	case p999:
		return &s.P999
	case p9999:
		return &s.P9999
	case longest:
		return &s.Max
	case retainedBytes:
		return &s.RetainedBytes
	case cpuShare:
		return &s.CPU
	}
	panic("bench: no metric " + string(m))
}

// spread is how far the rounds of one metric were apart.
type spread struct {
	Min    float64   `json:"min"`
	Median float64   `json:"median"`
	Max    float64   `json:"max"`
	Rounds []float64 `json:"rounds"` // in the order they were run
}

// row is the result of one subject in one case at one number of goroutines.
type row struct {
	Case       string `json:"case"`
	Subject    string `json:"subject"`
	Goroutines int    `json:"goroutines"`
	sample
	Spread map[metric]spread `json:"spread"` // of what was measured
}

// newRow sums the rounds up.
func newRow(c, subject string, goroutines int, rounds []sample) row {
	r := row{Case: c, Subject: subject, Goroutines: goroutines, Spread: map[metric]spread{}}
	for _, m := range metrics {
		values := make([]float64, len(rounds))
		for i := range rounds {
			values[i] = *rounds[i].at(m)
		}
		s := spreadOf(values)
		*r.at(m) = s.Median
		if s.Max > 0 {
			r.Spread[m] = s
		}
	}
	r.Max = r.Spread[longest].Max
	worst := slices.MinFunc(rounds, func(a, b sample) int {
		return compareFairness(a.FewestCalls, a.MostCalls, b.FewestCalls, b.MostCalls)
	})
	r.FewestCalls, r.MostCalls = worst.FewestCalls, worst.MostCalls
	return r
}

func compareFairness(fewA, mostA, fewB, mostB float64) int {
	return int(fewA*mostB) - int(fewB*mostA)
}

func spreadOf(values []float64) spread {
	sorted := slices.Sorted(slices.Values(values))
	n := len(sorted)
	return spread{
		Min: sorted[0], Median: (sorted[(n-1)/2] + sorted[n/2]) / 2, Max: sorted[n-1],
		Rounds: values,
	}
}

// results are the rows of a run.
type results []row

func (rs results) find(c, subject string, goroutines int) (row, bool) {
	i := slices.IndexFunc(rs, func(r row) bool {
		return r.Case == c && r.Subject == subject && r.Goroutines == goroutines
	})
	if i < 0 {
		return row{}, false
	}
	return rs[i], true
}

// write writes the rows as a JSON array with an object on each line.
func (rs results) write(file string) error {
	var b bytes.Buffer
	for i, r := range rs {
		line, err := json.Marshal(r)
		if err != nil {
			return fmt.Errorf("encode results: %w", err)
		}
		b.WriteString([]string{"[\n", ",\n"}[min(i, 1)])
		b.Write(line)
	}
	b.WriteString("\n]\n")
	return os.WriteFile(file, b.Bytes(), 0o644)
}
