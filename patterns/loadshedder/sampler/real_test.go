package sampler

import (
	"errors"
	"os"
	"path/filepath"
	"runtime"
	"sync"
	"testing"
	"time"

	"github.com/bulwark-go/bulwark/patterns"
)

// Where this runs, every signal has a value, or is not there; and 200 ms of work are seen.
func TestThisMachine(t *testing.T) {
	for _, scope := range []Scope{Auto, Group, Host} {
		t.Run(scope.String(), func(t *testing.T) {
			s1, err := New(Options{Scope: scope})
			if err != nil {
				t.Fatal(err)
			}
			defer s1.Close() //nolint:errcheck // it has no error
			start := time.Now()
			read(t, s1, patterns.Instant(time.Since(start)))
			var wg sync.WaitGroup
			for range runtime.GOMAXPROCS(0) {
				wg.Go(func() {
					for time.Since(start) < 200*time.Millisecond {
					}
				})
			}
			wg.Wait()
			r := read(t, s1, patterns.Instant(time.Since(start)))
			for one, sample := range r.All() {
				if err := sample.Err; err != nil && !errors.Is(err, ErrPending) && !errors.Is(err, ErrUnavailable) {
					t.Errorf("%s: %v", one, err)
				}
				t.Logf("%s: %+v", one, sample)
			}
			cpu, memory := r.Of(CPU), r.Of(Memory)
			if scope == Group && errors.Is(cpu.Err, ErrUnavailable) {
				return
			}
			if cpu.Err != nil || cpu.Value < 0.01 || r.CPULimit <= 0 {
				t.Errorf("CPU of %v: %+v", r.CPULimit, cpu)
			}
			if memory.Err != nil || memory.Value == 0 || r.MemoryUsed == 0 || r.MemoryLimit < r.MemoryUsed/2 {
				t.Errorf("memory %d of %d: %+v", r.MemoryUsed, r.MemoryLimit, memory)
			}
		})
	}
}

// The same files as in the other tests, on a real file system.
func TestFilesOnDisk(t *testing.T) {
	for layout, tree := range trees {
		t.Run(layout, func(t *testing.T) {
			dir := t.TempDir()
			put(t, dir, tree(1))
			s1, err := New(Options{Signals: groups, Root: os.DirFS(dir)})
			if err != nil {
				t.Fatal(err)
			}
			read(t, s1, s)
			put(t, dir, tree(2))
			whole(t, read(t, s1, 2*s))
			if err := s1.Close(); err != nil {
				t.Error(err)
			}
		})
	}
}

func put(t *testing.T, dir string, files map[string]string) {
	t.Helper()
	for name, text := range files {
		path := filepath.Join(dir, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

func BenchmarkRead(b *testing.B) {
	run := func(name string, o Options) {
		b.Run(name, func(b *testing.B) {
			s1, err := New(o)
			if err != nil {
				b.Fatal(err)
			}
			now := patterns.Instant(0)
			s1.Read(now)
			b.ReportAllocs()
			for b.Loop() {
				now += 1e6
				s1.Read(now)
			}
		})
	}
	run("all", Options{})
	run("what a shedder needs", Options{Signals: CPU | Memory | SchedLatency | GC})
	for one := range All.Each() {
		run(one.String(), Options{Signals: one})
	}
}
