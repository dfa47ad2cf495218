package sampler

import (
	"os"
	"testing"

	"github.com/bulwark-go/bulwark/patterns"
)

// Within limits all that is read are files, which stay open, and metrics.
func TestAReadDoesNotAllocate(t *testing.T) {
	for layout, tree := range trees {
		dir := t.TempDir()
		put(t, dir, tree(1))
		s1, err := New(Options{Root: os.DirFS(dir)})
		if err != nil {
			t.Fatal(err)
		}
		now := patterns.Instant(0)
		r := s1.Read(now)
		if n := testing.AllocsPerRun(200, func() { now += 1e7; r = s1.Read(now) }); n != 0 {
			t.Errorf("%s: %v allocations", layout, n)
		}
		if got := r.Of(CPU); got.Err != nil {
			t.Errorf("%s: %+v", layout, got)
		}
		if err := s1.Close(); err != nil {
			t.Error(err)
		}
	}
}

// Nor does a signal that is not there.
func TestAReadOfNothingDoesNotAllocate(t *testing.T) {
	k := newKernel(nil)
	k.remove(membershipFile)
	for name, s1 := range map[string]*Sampler{
		"no groups":      sampler(Options{Scope: Group}, nil, newBox()),
		"v2, no limits":  sampler(Options{}, newKernel(self("0::/\n", unified), v2(cg, "max", 0, "max", 0)), newBox()),
		"no memberships": sampler(Options{Signals: SchedLatency | GC | GCLimiter | GoMemory}, k, newBox()),
	} {
		now := patterns.Instant(0)
		s1.Read(now)
		if n := testing.AllocsPerRun(200, func() { now += 1e7; s1.Read(now) }); n != 0 {
			t.Errorf("%s: %v allocations", name, n)
		}
	}
}

// gopsutil makes garbage; this is that it does not become more.
func TestAReadOfTheMachineAllocatesAsMuchAsItsMeminfoHasLines(t *testing.T) {
	s1, err := New(Options{Scope: Host})
	if err != nil {
		t.Fatal(err)
	}
	defer s1.Close() //nolint:errcheck // it has no error
	now := patterns.Instant(0)
	s1.Read(now)
	if n := testing.AllocsPerRun(20, func() { now += 1e7; s1.Read(now) }); n > 500 {
		t.Errorf("%v allocations", n)
	}
}
