package cgroup

import "testing"

func TestReadingFilesDoesNotAllocate(t *testing.T) {
	stat := []byte("usage_usec 5\nnr_periods 7\n")
	pressure := []byte("some avg10=1.53 avg60=0.87 avg300=0.25 total=4455667\nfull avg10=0.00 avg60=0.00 avg300=0.00 total=0\n")
	list, one, quota := []byte("0-3,5\n"), []byte("12345\n"), []byte("50000 100000\n")
	for name, f := range map[string]func() error{
		"stat":     func() error { _, err := Micros(stat, "usage_usec"); return err },
		"count":    func() error { _, err := Count(one); return err },
		"cpus":     func() error { _, err := CountCPUs(list); return err },
		"cpu.max":  func() error { _, err := ParseCPUMax(quota); return err },
		"cfs":      func() error { _, err := ParseCFS(one, one); return err },
		"memory":   func() error { _, _, err := MemoryLimit(one, 1<<40); return err },
		"pressure": func() error { _, err := ParsePSI(pressure); return err },
	} {
		var err error
		if n := testing.AllocsPerRun(100, func() { err = f() }); n != 0 || err != nil {
			t.Errorf("%s: %v allocations, error %v", name, n, err)
		}
	}
}
