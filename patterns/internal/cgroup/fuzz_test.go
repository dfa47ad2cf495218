package cgroup

import (
	"math"
	"os"
	"path"
	"strings"
	"testing"
	"time"

	"github.com/bulwark-go/bulwark/patterns"
)

// seeds adds the texts of the vectors, so that the fuzzer starts from what kernels write.
func seeds(f *testing.F, add func(text []byte)) {
	f.Helper()
	file, err := os.ReadFile("testdata/cgroup_parse.json")
	if err != nil {
		f.Fatal(err)
	}
	for _, quoted := range strings.Split(string(file), `"`) {
		text := strings.ReplaceAll(quoted, `\n`, "\n")
		add([]byte(text))
		add([]byte(text[:len(text)/2])) // cut off
	}
}

// Whatever a file holds, there is a number or an error, and no number is below 0,
// infinite or none.
func FuzzFiles(f *testing.F) {
	seeds(f, func(text []byte) { f.Add(text, uint64(1<<34)) })
	f.Add([]byte("36 35 98:0 /r /p rw - cgroup x rw,cpu\n36 35 98:0 /r\\040 /p rw - cgroup2 x rw"), uint64(0))
	f.Fuzz(func(t *testing.T, text []byte, host uint64) {
		if q, err := ParseCPUMax(text); err == nil {
			plausible(t, q)
		}
		first, rest := text[:len(text)/2], text[len(text)/2:]
		if q, err := ParseCFS(first, rest); err == nil {
			plausible(t, q)
		}
		if n, err := CountCPUs(text); n < 0 || n > maxCPUs || err != nil && n != 0 {
			t.Fatalf("%d CPUs, %v", n, err)
		}
		if limit, limited, err := MemoryLimit(text, host); err == nil && (limited != (limit < host) || limit > host) {
			t.Fatalf("limit %d, limited %v of %d", limit, limited, host)
		}
		m, err := ParseMembership(text)
		if (err == nil) != (m.Version() != 0) {
			t.Fatalf("%+v, %v", m, err)
		}
		for _, p := range []string{m.Unified, m.CPU, m.CPUAcct, m.CPUSet, m.Memory} {
			if p != "" && p[0] != '/' {
				t.Fatalf("%+v", m)
			}
		}
		if p, err := ParsePSI(text); err == nil {
			for _, avg := range []float64{p.Some.Avg10, p.Some.Avg60, p.Some.Avg300, p.Full.Avg10, p.Full.Avg60, p.Full.Avg300} {
				if !(avg >= 0) || math.IsInf(avg, 0) {
					t.Fatalf("%+v", p)
				}
			}
		}
		for _, m := range ParseMounts(text) {
			if m.Root == "" || m.Point == "" || m.Point[0] != '/' || m.Version != 1 && m.Version != 2 {
				t.Fatalf("%+v", m)
			}
			for _, group := range []string{m.Root, "/", string(text)} {
				if dir, ok := m.Find(group); ok && !strings.HasPrefix(dir+"/", strings.TrimSuffix(path.Clean(m.Point), "/")+"/") {
					t.Fatalf("%+v shows %q in %q", m, group, dir)
				}
			}
		}
	})
}

func FuzzCounts(f *testing.F) {
	seeds(f, func(text []byte) { f.Add(text, "usage_usec") })
	f.Fuzz(func(t *testing.T, text []byte, key string) {
		n, err := Stat(text, key)
		if err != nil && n != 0 {
			t.Fatalf("%d beside %v", n, err)
		}
		ns, err2 := Micros(text, key)
		if (err2 == nil) != (err == nil && n <= math.MaxUint64/1000) || err2 == nil && ns/1000 != n {
			t.Fatalf("%d µs are %d ns, %v", n, ns, err2)
		}
		if n, err := Count(text); err != nil && n != 0 {
			t.Fatalf("%d beside %v", n, err)
		}
	})
}

func plausible(t *testing.T, q Quota) {
	t.Helper()
	cores := q.Cores()
	if q.Limited() != (cores > 0) || math.IsInf(cores, 0) || math.IsNaN(cores) {
		t.Fatalf("%+v is %v cores", q, cores)
	}
}

// Whatever is read, a share is a number; and left alone for two readings, there is one.
func FuzzMeters(f *testing.F) {
	f.Add(int64(0), uint64(5), 1.0, int64(5), uint64(3), 2.0)
	f.Add(int64(math.MinInt64), uint64(0), 1e-300, int64(math.MaxInt64), uint64(math.MaxUint64), math.NaN())
	f.Fuzz(func(t *testing.T, t1 int64, c1 uint64, l1 float64, t2 int64, c2 uint64, l2 float64) {
		var m Meter
		var th Throttle
		period := time.Duration(max(t1, 1))
		check := func(share float64, ok bool) {
			t.Helper()
			if ok && (!(share >= 0) || math.IsInf(share, 0)) {
				t.Fatalf("a share of %v", share)
			}
		}
		check(m.Sample(patterns.Instant(t1), c1, l1))
		check(m.Sample(patterns.Instant(t2), c2, l2))
		check(th.Sample(patterns.Instant(t1), c1, c2, period))
		check(th.Sample(patterns.Instant(t2), c2, c1, period))

		now := patterns.Instant(max(t2, math.MinInt64+1, 0))
		if now > math.MaxInt64-4e9 {
			return
		}
		m.Sample(now+1e9, 10, 1)
		if share, ok := m.Sample(now+2e9, 5e8+10, 1); !ok || share != 0.5 {
			t.Fatalf("left alone: %v, %v", share, ok)
		}
		th.Sample(now+1e9, 0, 0, time.Second)
		th.Sample(now+2e9, 0, 0, time.Second) // it went back, or it did not
		if share, ok := th.Sample(now+3e9, 10, 5, time.Second); !ok || share != 0.5 {
			t.Fatalf("left alone: %v, %v", share, ok)
		}
	})
}
