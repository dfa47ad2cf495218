package sampler

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/bulwark-go/bulwark/patterns"
)

func TestWhatIsOffIsNotRead(t *testing.T) {
	needs := map[Signal][]string{
		CPU:            {"cpu.max", "cpu.stat", "cpuset.cpus.effective"},
		Throttled:      {"cpu.max", "cpu.stat", "cpuset.cpus.effective"},
		Memory:         {"memory.current", "memory.high", "memory.max", "memory.stat"},
		CPUPressure:    {"cpu.pressure"},
		MemoryPressure: {"memory.pressure"},
		MemoryStall:    {"memory.pressure"},
		IOPressure:     {"io.pressure"},
		IOStall:        {"io.pressure"},
	}
	for one := range All.Each() {
		t.Run(one.String(), func(t *testing.T) {
			k, b := newKernel(trees["v2"](1)), newBox()
			s1 := sampler(Options{Signals: one}, k, b)
			read(t, s1, s)
			b.calls, k.opens = 0, 0
			k.reads = map[string]int{}
			k.write(trees["v2"](2))
			r := read(t, s1, 2*s)
			found := map[string]bool{}
			for name := range k.reads {
				if base := name[strings.LastIndexByte(name, '/')+1:]; base != "cgroup" {
					found[base] = true
				}
			}
			if got := slices.Sorted(maps.Keys(found)); !slices.Equal(got, needs[one]) {
				t.Errorf("%v was read", got)
			}
			if b.calls != 0 || k.opens != 0 {
				t.Errorf("the machine was asked %d times, %d files opened", b.calls, k.opens)
			}
			for name := range k.open {
				if k.reads[name] == 0 {
					t.Errorf("%s is kept open", name)
				}
			}
			for other, sample := range r.All() {
				if other != one {
					t.Errorf("%s is on: %+v", other, sample)
				}
			}
			for other := range (All &^ one).Each() {
				if got := r.Of(other); got != (Sample{Err: ErrOff}) {
					t.Errorf("%s: %+v", other, got)
				}
			}
		})
	}
}

func TestFilesAreReadOnceEach(t *testing.T) {
	for layout, tree := range trees {
		k := newKernel(tree(1), map[string]string{cg + "/cpu.stat": "usage_usec 1\n", cg + "/memory.stat": "anon 1\n"}) // of the root
		s1 := sampler(Options{}, k, newBox())
		read(t, s1, s)
		k.reads, k.opens = map[string]int{}, 0
		k.write(tree(2))
		read(t, s1, 2*s)
		for name, n := range k.reads {
			if n != 1 {
				t.Errorf("%s: %s was read %d times", layout, name, n)
			}
		}
		if k.opens != 0 {
			t.Errorf("%s: %d files were opened", layout, k.opens)
		}
		for name := range k.open {
			if k.reads[name] == 0 {
				t.Errorf("%s: %s is kept open for nothing", layout, name)
			}
		}
	}
}

func TestAProcessThatIsMovedIsMeasuredWhereItIs(t *testing.T) {
	k := newKernel(self("0::/a\n", unified), v2(cg+"/a", "100000 100000", 0, "104857600", 50*mb), v2(cg+"/b", "200000 100000", 9_000_000, "209715200", 50*mb))
	s1 := sampler(Options{Signals: CPU | Memory}, k, newBox())
	read(t, s1, s)
	k.write(v2(cg+"/a", "100000 100000", 500_000, "104857600", 50*mb))
	if got, want := show(read(t, s1, 2*s), CPU|Memory), "cpu 0.5 of group, memory 0.5 of group"; got != want {
		t.Errorf("%s, want %s", got, want)
	}
	k.files[membershipFile] = "0::/b\n"
	// The usage of another group says nothing about the last second of this one.
	if got, want := show(read(t, s1, 3*s), CPU|Memory), "cpu pending, memory 0.25 of group"; got != want {
		t.Errorf("just moved: %s, want %s", got, want)
	}
	k.write(v2(cg+"/b", "200000 100000", 9_500_000, "209715200", 50*mb))
	if got, want := show(read(t, s1, 4*s), CPU|Memory), "cpu 0.25 of group, memory 0.25 of group"; got != want {
		t.Errorf("moved: %s, want %s", got, want)
	}
	for name := range k.open {
		if strings.Contains(name, "/a/") {
			t.Errorf("%s is still open", name)
		}
	}
}

// A quota that comes and goes is compared with nothing that was before.
func TestAQuotaThatComesBackStartsAnew(t *testing.T) {
	k, b := newKernel(self("0::/a\n", unified), v2(cg+"/a", "100000 100000", 0, "max", 0), v2(cg, "max", 0, "max", 0)), newBox()
	s1 := sampler(Options{Signals: CPU}, k, b)
	files := func(own, above string, usage int) { // siblings use nine times as much
		k.write(v2(cg+"/a", own, usage, "max", 0), v2(cg, above, 10*usage, "max", 0))
	}
	for i, step := range []struct {
		own, above string
		usage      int
		busy       float64
		want       string
	}{
		{"100000 100000", "200000 100000", 0, 1, "cpu pending"},
		{"100000 100000", "200000 100000", 100_000, 2, "cpu 0.5 of group"},
		{"100000 100000", "max", 200_000, 3, "cpu 0.1 of group"},
		{"100000 100000", "200000 100000", 300_000, 4, "cpu 0.1 of group"}, // above, nobody knows yet
		{"100000 100000", "200000 100000", 400_000, 5, "cpu 0.5 of group"},
		{"max", "max", 500_000, 6, "cpu pending"},
		{"max", "max", 600_000, 7, "cpu 0.25 of host"},
		{"100000 100000", "max", 700_000, 9, "cpu 0.0125 of group"}, // of the larger limit
		{"max", "max", 800_000, 11, "cpu pending"},
		{"max", "max", 900_000, 12, "cpu 0.25 of host"},
	} {
		files(step.own, step.above, step.usage)
		b.busy, b.total = step.busy, 4*float64(i)
		if got := show(read(t, s1, s*patterns.Instant(i)), CPU); got != step.want {
			t.Errorf("step %d: %s, want %s", i, got, step.want)
		}
	}
}

func TestAMembershipThatIsUnderstoodAgain(t *testing.T) {
	k, b := newKernel(self("garbage\n", unified), v2(cg, "50000 100000", 0, "104857600", 50*mb)), newBox()
	s1 := sampler(Options{}, k, b)
	for i, step := range []struct{ member, want string }{
		{"garbage\n", "cpu failed, throttled failed, memory failed"},
		{"1:pids:/\n", "cpu pending, throttled unavailable, memory 0 of host"},
		{"0::/\n", "cpu pending, throttled pending, memory 0.5 of group"},
		{"garbage\n", "cpu failed, throttled failed, memory failed"},
	} {
		k.files[membershipFile] = step.member
		if got := show(read(t, s1, s*patterns.Instant(i)), CPU|Throttled|Memory); got != step.want {
			t.Errorf("step %d: %s, want %s", i, got, step.want)
		}
	}
}

func TestWhatIsSwitchedOnOrMountedIsSeenWithinAMinute(t *testing.T) {
	k, b := newKernel(self("0::/\n", unified), map[string]string{cg + "/cpu.stat": "usage_usec 0\n"}), newBox()
	s1 := sampler(Options{Signals: CPU | Memory}, k, b)
	read(t, s1, 0)
	k.write(v2(cg, "50000 100000", 0, "104857600", 50*mb))
	k.files["proc/self/status"] = "Cpus_allowed_list: 0\n"
	for sec := 1; sec <= 61; sec++ {
		b.busy, b.total, b.spent = float64(sec), 2*float64(sec), uint64(sec)*1e8
		want := "cpu 0.5 of host, memory 0 of host, 8"
		switch sec {
		case 60:
			want = "cpu pending, memory 0.5 of group, 0.5"
		case 61:
			want = "cpu 0.1 of process, memory 0.5 of group, 0.5"
		}
		r := read(t, s1, s*patterns.Instant(sec))
		if got := fmt.Sprintf("%s, %g", show(r, CPU|Memory), r.CPULimit); got != want {
			t.Fatalf("after %d s: %s, want %s", sec, got, want)
		}
	}
}

// The groups are looked for again once a minute, without a gap in what compares.
func TestLookingAgainForgetsNothing(t *testing.T) {
	k := newKernel(trees["v2"](0))
	s1 := sampler(Options{Signals: groups}, k, newBox())
	read(t, s1, 0)
	for sec := 1; sec < 200; sec++ {
		opens := k.opens
		k.write(trees["v2"](sec))
		whole(t, read(t, s1, s*patterns.Instant(sec)))
		if looked := k.opens > opens; looked != (sec%60 == 0) {
			t.Fatalf("looked for groups after %d s: %v", sec, looked)
		}
		for name, n := range k.open {
			if n != 1 {
				t.Fatalf("%s is open %d times", name, n)
			}
		}
	}
}

func TestCloseClosesAndAReadOpensAgain(t *testing.T) {
	k := newKernel(trees["v2"](1))
	s1 := sampler(Options{}, k, newBox())
	if err := s1.Close(); err != nil {
		t.Error(err)
	}
	read(t, s1, s)
	if len(k.open) == 0 {
		t.Error("nothing is kept open")
	}
	for range 2 {
		if err := s1.Close(); err != nil || len(k.open) != 0 {
			t.Errorf("open %v, error %v", k.open, err)
		}
	}
	k.write(trees["v2"](2))
	whole(t, read(t, s1, 2*s))
}

// Whatever a file system's files can do, they are read.
func TestFilesWithoutReadAt(t *testing.T) {
	k := newKernel(trees["v2"](1))
	s1 := newSampler(Options{Signals: groups}, plain{k}, newBox())
	read(t, s1, s)
	k.write(trees["v2"](2))
	whole(t, read(t, s1, 2*s))
	k.refuse[cg+"/pod/c/cpu.max"] = fs.ErrPermission
	if got := show(read(t, s1, 5*s/2), CPU); got != "cpu failed" {
		t.Errorf("%s", got)
	}
	delete(k.refuse, cg+"/pod/c/cpu.max")
	k.files[cg+"/pod/c/memory.stat"] += strings.Repeat("x", maxFile)
	k.files[cg+"/pod/c/memory.current"] = strings.Repeat(" ", maxFile-3) + "7\n" // just fits
	r := read(t, s1, 3*s)
	if got := show(r, CPU); got != "cpu 0 of group" {
		t.Errorf("%s", got)
	}
	if err := r.Of(Memory).Err; err == nil || !strings.Contains(err.Error(), "longer than 32767 bytes") {
		t.Errorf("%v", err)
	}
	if len(k.open) != 0 {
		t.Errorf("left open: %v", k.open)
	}
}

type plain struct{ *kernel }

func (p plain) Open(name string) (fs.File, error) {
	f, err := p.kernel.Open(name)
	return struct{ fs.File }{f}, err // even beside an error
}

func TestAMapIsAFileSystemToo(t *testing.T) {
	m := fstest.MapFS{}
	for name, text := range trees["v1"](1) {
		m[name] = &fstest.MapFile{Data: []byte(text)}
	}
	s1, err := New(Options{Signals: groups, Root: m})
	if err != nil {
		t.Fatal(err)
	}
	read(t, s1, s)
	for name, text := range trees["v1"](2) {
		m[name].Data = []byte(text)
	}
	whole(t, read(t, s1, 2*s))
}

func TestAReadingOfAnEarlierTimeHasNoShares(t *testing.T) {
	k := newKernel(trees["v2"](1))
	s1 := sampler(Options{Signals: groups}, k, newBox())
	read(t, s1, 5*s)
	for _, now := range []patterns.Instant{5 * s, 4 * s} {
		if got := show(read(t, s1, now), CPU|CPUPressure); got != "cpu pending, cpu pressure pending" {
			t.Errorf("%s", got)
		}
	}
}

func TestOptions(t *testing.T) {
	for name, o := range map[string]Options{
		"zero": {}, "all": {Signals: All, Scope: Host}, "one": {Signals: IOStall, Scope: Group},
	} {
		if s1, err := New(o); err != nil || s1 == nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	if got := (Options{}).withDefaults(); got.Signals != All || got.Scope != Auto {
		t.Errorf("%+v", got)
	}
	_, err := New(Options{Signals: All + 1, Scope: 9})
	var fields []string
	if joined, ok := err.(interface{ Unwrap() []error }); ok {
		for _, e := range joined.Unwrap() {
			if c, ok := errors.AsType[*patterns.ConfigError](e); ok {
				fields = append(fields, c.Field)
			}
		}
	}
	if !slices.Equal(fields, []string{"Signals", "Scope"}) {
		t.Errorf("faults in %v: %v", fields, err)
	}
	const want = "loadshedder/sampler: Signals signal(0x1000): must be signals of this package\n" +
		"loadshedder/sampler: Scope scope(9): must be Auto, Group or Host"
	if err.Error() != want {
		t.Errorf("%v", err)
	}
}

func TestSignals(t *testing.T) {
	if len(names) != 12 || All != 1<<len(names)-1 {
		t.Fatalf("%d names, all are %#x", len(names), uint16(All))
	}
	var set Signal
	i := 0
	for one := range All.Each() {
		if one.index() != i || one.String() != names[i] || !All.Has(one) {
			t.Errorf("%s is number %d", one, one.index())
		}
		set |= one
		i++
	}
	if set != All || i != len(names) {
		t.Errorf("%d signals", i)
	}
	for s, want := range map[Signal]string{0: "none", CPU | Memory: "cpu+memory", IOStall | 1<<15: "io stall+signal(0x8000)", GC: "gc"} {
		if s.String() != want {
			t.Errorf("%s, want %s", s, want)
		}
	}
	for range All.Each() {
		break
	}
	r := sampler(Options{}, nil, newBox()).Read(0)
	for _, none := range []Signal{0, CPU | Memory, 1 << 14, All} {
		if none.index() != -1 || r.Of(none) != (Sample{Err: ErrOff}) {
			t.Errorf("%s is one: %+v", none, r.Of(none))
		}
	}
	n := 0
	for range r.All() {
		n++
		if n == 3 {
			break
		}
	}
	if n != 3 || CPU.Has(CPU|Memory) {
		t.Error("wrong about sets")
	}
	if got := fmt.Sprint(Auto, Group, Host, NoSource, FromGroup, FromProcess, FromHost, FromRuntime); got != "auto group host none group process host runtime" {
		t.Error(got)
	}
}
