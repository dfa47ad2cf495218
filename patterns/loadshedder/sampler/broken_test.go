package sampler

import (
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"path"
	"slices"
	"strings"
	"testing"

	"github.com/bulwark-go/bulwark/patterns"
)

// trees are whole layouts, with all their files, at a time in seconds.
var trees = map[string]func(sec int) map[string]string{
	"v2": func(sec int) map[string]string {
		k := newKernel(
			self("0::/pod/c\n", unified), v2(cg+"/pod/c", "50000 100000", 250_000*sec, "209715200", 50*mb),
			v2(cg+"/pod", "200000 100000", 500_000*sec, "419430400", 100*mb),
		)
		for _, dir := range []string{cg + "/pod", cg + "/pod/c"} {
			k.files[dir+"/cpu.stat"] = fmt.Sprintf("usage_usec %d\nnr_periods %d\nnr_throttled %d\n", 250_000*sec, 10*sec, 5*sec)
		}
		k.files[cg+"/pod/c/cpuset.cpus.effective"] = "0-3\n"
		for _, name := range psiNames {
			k.files[cg+"/pod/c/"+name+".pressure"] = fmt.Sprintf("some avg10=0.00 avg60=0.00 avg300=0.00 total=%d\nfull avg10=0.00 avg60=0.00 avg300=0.00 total=0\n", 250_000*sec)
		}
		return k.files
	},
	"v1": func(sec int) map[string]string {
		k := newKernel(self(inDocker, mountsV1("/docker/abc")), v1("", "50000", 250_000*sec, "209715200", 50*mb))
		k.files[cg+"/cpu,cpuacct/cpu.stat"] = fmt.Sprintf("throttled_time 0\nnr_periods %d\nnr_throttled %d\n", 10*sec, 5*sec)
		for _, name := range psiNames {
			k.files["proc/pressure/"+name] = fmt.Sprintf("some avg10=0.00 avg60=0.00 avg300=0.00 total=%d\nfull avg10=0.00 avg60=0.00 avg300=0.00 total=0\n", 250_000*sec)
		}
		return k.files
	},
}

const groups = CPU | Throttled | Memory | pressures

// of are the signals that a file is for.
func of(name string) Signal {
	switch base := name[strings.LastIndexByte(name, '/')+1:]; {
	case base == "cpu" || base == "cpu.pressure":
		return CPUPressure
	case base == "memory" || base == "memory.pressure":
		return MemoryPressure | MemoryStall
	case base == "io" || base == "io.pressure":
		return IOPressure | IOStall
	case strings.HasPrefix(base, "memory."):
		return Memory
	case base == "cpuacct.usage", strings.HasPrefix(base, "cpuset."):
		return CPU
	case base == "cpu.stat" && strings.Contains(name, "cpuacct"):
		return Throttled // of v1, where usage is apart
	case strings.HasPrefix(base, "cpu"):
		return CPU | Throttled
	}
	return 0
}

// whole fails unless all signals of a tree have a value.
func whole(t *testing.T, r Reading) {
	t.Helper()
	for one := range groups.Each() {
		if got := r.Of(one); got.Err != nil || got.Value == 0 && one != MemoryStall && one != IOStall {
			t.Errorf("%s: %+v", one, got)
		}
	}
}

func TestABrokenFileIsAnErrorAndNeverZero(t *testing.T) {
	breaks := []struct {
		name string
		do   func(k *kernel, file string)
	}{
		{"gone", func(k *kernel, file string) { k.remove(file) }},
		{"empty", func(k *kernel, file string) { k.files[file] = "" }},
		{"garbage", func(k *kernel, file string) { k.files[file] = "\x00garbage \xff -1 NaN\n" }},
		{"negative", func(k *kernel, file string) { k.files[file] = "-5\n" }},
		{"cut off", func(k *kernel, file string) {
			text := k.files[file]
			if strings.HasSuffix(file, ".stat") {
				text = text[:5]
			}
			text = strings.TrimRight(text, "0123456789\n")
			k.files[file] = text[:max(len(text)-1, 0)]
		}},
		{"endless", func(k *kernel, file string) { k.files[file] += strings.Repeat("\n", 10*maxFile) }},
	}
	for layout, tree := range trees {
		files := tree(1)
		names := slices.Sorted(func(yield func(string) bool) {
			for name := range files {
				if of(name) != 0 && !yield(name) {
					return
				}
			}
		})
		for _, name := range names {
			for _, brk := range breaks {
				switch {
				case strings.HasSuffix(name, "cpuset/cpuset.cpus.effective"):
					continue // not a file of v1
				case brk.name == "empty" && strings.Contains(name, "cpuset.cpus"):
					continue // that means all
				case brk.name == "cut off" && strings.HasSuffix(name, "cpus.effective"), brk.name == "cut off" && strings.HasSuffix(name, "cpuset.cpus"):
					continue // it may be cut to a good one
				}
				t.Run(layout+"/"+name+" "+brk.name, func(t *testing.T) {
					k, now := newKernel(tree(1)), s
					s1 := sampler(Options{Signals: groups}, k, newBox())
					read(t, s1, now)
					k.write(tree(2))
					now += s
					whole(t, read(t, s1, now))

					k.write(tree(3))
					brk.do(k, name)
					now += s
					r := read(t, s1, now)
					for one := range groups.Each() {
						got := r.Of(one)
						if hit := of(name).Has(one); hit != (got.Err != nil) {
							t.Errorf("%s: %+v", one, got)
						} else if hit && (errors.Is(got.Err, ErrPending) || errors.Is(got.Err, ErrUnavailable) || !strings.Contains(got.Err.Error(), path.Base(name))) {
							t.Errorf("%s does not say what is wrong with %s: %v", one, name, got.Err)
						}
					}
					if hit := of(name) != 0 && brk.name == "gone"; hit {
						if k.opened[mountsFile] != 1 {
							t.Error("looked for its groups at once")
						}
						for _, after := range []patterns.Instant{5*s - 1, 5 * s, 6 * s, 11 * s} {
							k.write(tree(3))
							k.remove(name)
							r := s1.Read(s + after) // the groups were found at s
							if looked := k.opened[mountsFile] > 1; looked != (after >= 5*s) {
								t.Errorf("after %v: looked for its groups again: %v", after, looked)
							}
							plausible(t, r)
						}
						if k.opened[mountsFile] != 2 {
							t.Error("looks for its groups for ever")
						}
						return
					}
					if k.longer > maxFile {
						t.Errorf("%d bytes were to be read at once", k.longer)
					}

					k.write(tree(4)) // and it heals, though counters need a reading more
					now += s
					read(t, s1, now)
					k.write(tree(5))
					now += s
					whole(t, read(t, s1, now))
				})
			}
		}
	}
}

// What goes back is not an error, and heals by itself.
func TestCountersThatGoBackHaveNoValueOnce(t *testing.T) {
	for layout, tree := range trees {
		t.Run(layout, func(t *testing.T) {
			k := newKernel(tree(5))
			s1 := sampler(Options{Signals: groups}, k, newBox())
			read(t, s1, s)
			k.write(tree(6))
			whole(t, read(t, s1, 2*s))
			k.write(tree(1))
			r := read(t, s1, 3*s)
			for one := range (groups &^ (Memory | MemoryStall | IOStall)).Each() {
				if err := r.Of(one).Err; !errors.Is(err, ErrPending) {
					t.Errorf("%s: %+v", one, r.Of(one))
				}
			}
			k.write(tree(2))
			whole(t, read(t, s1, 4*s))
		})
	}
}

// A group whose files are all taken away at once, while they are open.
func TestAGroupThatVanishesIsLookedForAgain(t *testing.T) {
	k := newKernel(trees["v2"](1))
	s1 := sampler(Options{Signals: groups}, k, newBox())
	read(t, s1, s)
	k.remove(cg)
	r := read(t, s1, 2*s)
	for one := range groups.Each() {
		if err := r.Of(one).Err; !errors.Is(err, fs.ErrNotExist) && !strings.Contains(fmt.Sprint(err), "no such device") {
			t.Errorf("%s: %+v", one, r.Of(one))
		}
	}
	// Looked for again, there is none: then it is the machine's.
	k.write(map[string]string{"proc/self/mountinfo": ""})
	const host = "cpu pending, throttled unavailable, memory 0 of host"
	if got := show(read(t, s1, 7*s), CPU|Throttled|Memory); got != host {
		t.Errorf("%s, want %s", got, host)
	}
	if len(k.open) != 1 || k.open[membershipFile] != 1 {
		t.Errorf("open: %v", k.open)
	}
	// It is back, and seen so within a minute.
	k.write(trees["v2"](2))
	read(t, s1, 67*s)
	k.write(trees["v2"](3))
	whole(t, read(t, s1, 68*s))
}

// A signal that is never understood does not keep the sampler looking for another group.
func TestGarbageIsNotLookedForElsewhere(t *testing.T) {
	k := newKernel(trees["v2"](1))
	k.files[cg+"/pod/c/cpu.max"] = "garbage"
	s1 := sampler(Options{Signals: groups}, k, newBox())
	read(t, s1, s)
	opens := k.opens
	for now := 2 * s; now < 60*s; now += s {
		read(t, s1, now)
	}
	if k.opens != opens {
		t.Errorf("%d files were opened", k.opens-opens)
	}
}

// Whatever is in the files, there are no panics and no impossible values; and once they
// are right, all signals have values.
func FuzzTrees(f *testing.F) {
	f.Add(uint64(1), []byte("max\n"), []byte("0::/../x\n"))
	f.Add(uint64(7), []byte("0 0"), []byte("4:memory:/m\n0::/u\n"))
	f.Add(uint64(99), []byte("some avg10=0 avg60=0 avg300=0 total=18446744073709551615\n"), []byte{})
	f.Add(uint64(3), []byte("1 18446744073709551615"), []byte("0::/pod/c\n"))
	f.Fuzz(func(t *testing.T, seed uint64, text, membership []byte) {
		rnd := rand.New(rand.NewPCG(seed, 1))
		tree := trees["v2"]
		if seed%2 == 1 {
			tree = trees["v1"]
		}
		k, b := newKernel(tree(1)), newBox()
		s1 := sampler(Options{Signals: groups, Scope: Scope(seed / 2 % 3)}, k, b)
		names := slices.Sorted(func(yield func(string) bool) {
			for name := range k.files {
				if !yield(name) {
					return
				}
			}
		})
		now := patterns.Instant(0)
		for sec := range 8 {
			k.write(tree(sec))
			for range rnd.IntN(4) {
				name := names[rnd.IntN(len(names))]
				switch rnd.IntN(4) {
				case 0:
					k.remove(name)
				case 1:
					whole := k.files[name]
					k.files[name] = whole[:rnd.IntN(len(whole)+1)]
				case 2:
					k.files[name] = string(text)
				default:
					k.files[membershipFile] = string(membership)
				}
			}
			b.busy, b.total = rnd.Float64()*10, rnd.Float64()*10
			b.used, b.spent = rnd.Uint64N(b.has), rnd.Uint64()
			now += patterns.Instant(rnd.Int64N(1e10))
			plausible(t, s1.Read(now))
		}
		for sec := 10; sec < 13; sec++ { // left alone, and looked at over a minute
			k.write(tree(sec))
			b.busy, b.total, b.spent = float64(sec)*4, float64(sec)*8, uint64(sec)*1e9
			now += 61 * s
			r := s1.Read(now)
			plausible(t, r)
			if sec < 12 {
				continue
			}
			for one := range groups.Each() {
				if err := r.Of(one).Err; err != nil {
					t.Fatalf("%s: %v", one, err)
				}
			}
		}
		if err := s1.Close(); err != nil || len(k.open) != 0 {
			t.Fatalf("%v open, %v", k.open, err)
		}
	})
}
