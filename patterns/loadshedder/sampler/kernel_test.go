package sampler

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"path"
	"strings"
	"syscall"
	"testing"
	"testing/fstest"

	"github.com/bulwark-go/bulwark/patterns"
)

const s = patterns.Instant(1e9) // a second

// kernel is a file system as the kernel shows control groups: a file that is kept open
// says what is so now, and fails when its group is gone.
type kernel struct {
	files  map[string]string
	opens  int
	opened map[string]int
	epoch  map[string]int // of the group that a file is of
	open   map[string]int // how often each is open
	reads  map[string]int
	longer int // the longest buffer that was to be filled
	refuse map[string]error
}

func newKernel(files ...map[string]string) *kernel {
	k := &kernel{files: map[string]string{}, open: map[string]int{}, opened: map[string]int{}, epoch: map[string]int{}, reads: map[string]int{}, refuse: map[string]error{}}
	k.write(files...)
	return k
}

func (k *kernel) write(files ...map[string]string) {
	for _, f := range files {
		maps.Copy(k.files, f)
	}
}

// remove takes away a file, or all that is in a folder.
func (k *kernel) remove(name string) {
	maps.DeleteFunc(k.files, func(file, _ string) bool {
		gone := file == name || strings.HasPrefix(file, name+"/")
		if gone {
			k.epoch[file]++
		}
		return gone
	})
}

func (k *kernel) Open(name string) (fs.File, error) {
	k.opens++
	if err := k.refuse[name]; err != nil {
		return nil, &fs.PathError{Op: "open", Path: name, Err: err}
	}
	if _, ok := k.files[name]; !ok || !fs.ValidPath(name) {
		return nil, &fs.PathError{Op: "open", Path: name, Err: fs.ErrNotExist}
	}
	k.open[name]++
	k.opened[name]++
	return &kernelFile{k: k, name: name, epoch: k.epoch[name]}, nil
}

// Stat is asked of folders.
func (k *kernel) Stat(name string) (fs.FileInfo, error) {
	if name == "." {
		return fs.Stat(fstest.MapFS{}, ".")
	}
	for file := range k.files {
		if file == name || strings.HasPrefix(file, name+"/") {
			return fs.Stat(fstest.MapFS{"x": {}}, "x")
		}
	}
	return nil, &fs.PathError{Op: "stat", Path: name, Err: fs.ErrNotExist}
}

type kernelFile struct {
	k      *kernel
	name   string
	epoch  int
	at     int64
	closed bool
}

func (f *kernelFile) ReadAt(p []byte, at int64) (int, error) {
	f.k.reads[f.name]++
	f.k.longer = max(f.k.longer, len(p))
	text, ok := f.k.files[f.name]
	switch {
	case f.closed:
		return 0, fs.ErrClosed
	case !ok || f.epoch != f.k.epoch[f.name]:
		return 0, &fs.PathError{Op: "read", Path: f.name, Err: syscall.ENODEV}
	case at >= int64(len(text)):
		return 0, io.EOF
	}
	n := copy(p, text[at:])
	if n < len(p) {
		return n, io.EOF
	}
	return n, nil
}

func (f *kernelFile) Read(p []byte) (int, error) {
	n, err := f.ReadAt(p, f.at)
	f.at += int64(n)
	if n > 0 && errors.Is(err, io.EOF) {
		err = nil
	}
	return n, err
}

func (f *kernelFile) Stat() (fs.FileInfo, error) { return f.k.Stat(f.name) }

func (f *kernelFile) Close() error {
	if f.closed {
		return fs.ErrClosed
	}
	f.closed = true
	if f.k.open[f.name]--; f.k.open[f.name] == 0 {
		delete(f.k.open, f.name)
	}
	return nil
}

// box is a machine that says what it is told to.
type box struct {
	busy, total float64
	used, has   uint64
	spent       uint64 // by the process, ns
	n           int
	cpuErr      error
	memErr      error
	calls       int
}

func (b *box) times() (busy, total float64, err error) { b.calls++; return b.busy, b.total, b.cpuErr }
func (b *box) memory() (used, total uint64, err error) { b.calls++; return b.used, b.has, b.memErr }
func (b *box) process() (uint64, error)                { b.calls++; return b.spent, nil }
func (b *box) cpus() (int, error) {
	b.calls++
	if b.n == 0 {
		return 0, errors.New("no CPUs")
	}
	return b.n, nil
}

// newBox has 8 CPUs and 1000 MB.
func newBox() *box { return &box{n: 8, has: 1000 * mb} }

const mb = 1 << 20

// under returns files in a folder.
func under(dir string, files map[string]string) map[string]string {
	all := map[string]string{}
	for name, text := range files {
		all[path.Join(dir, name)] = text
	}
	return all
}

// v2 is the files of a group of cgroup v2.
func v2(dir string, cpuMax string, usage int, memMax string, current int) map[string]string {
	return under(dir, map[string]string{
		"cpu.max": cpuMax + "\n", "cpu.stat": fmt.Sprintf("usage_usec %d\nuser_usec 1\nnr_periods 0\nnr_throttled 0\n", usage),
		"memory.max": memMax + "\n", "memory.high": "max\n", "memory.current": fmt.Sprintln(current),
		"memory.stat": "anon 1\ninactive_file 0\n",
	})
}

const cg = "sys/fs/cgroup"

// self says where the process is, and what is mounted.
func self(cgroup, mounts string) map[string]string {
	return map[string]string{"proc/self/cgroup": cgroup, "proc/self/mountinfo": mounts}
}

// mount is a line of mountinfo.
func mount(root, point, kind, options string) string {
	return fmt.Sprintf("32 31 0:29 %s %s rw,relatime - %s cgroup rw,%s\n", root, point, kind, options)
}

var unified = mount("/", "/sys/fs/cgroup", "cgroup2", "nsdelegate")

// show prints what a Reading says about some signals, as a table wants it.
func show(r Reading, on Signal) string {
	var all []string
	for one := range on.Each() {
		s := r.Of(one)
		text := fmt.Sprintf("%s %.6g of %s", one, s.Raw, s.From)
		switch {
		case errors.Is(s.Err, ErrOff):
			text = one.String() + " off"
		case errors.Is(s.Err, ErrPending):
			text = one.String() + " pending"
		case errors.Is(s.Err, ErrUnavailable):
			text = one.String() + " unavailable"
		case s.Err != nil:
			text = one.String() + " failed"
		}
		all = append(all, text)
	}
	return strings.Join(all, ", ")
}

// plausible fails if a Reading says anything that it may not.
func plausible(t interface {
	Helper()
	Fatalf(string, ...any)
}, r Reading,
) {
	t.Helper()
	for one, s := range r.All() {
		top := 1.0
		if one == SchedLatency {
			top = 1e9
		}
		switch {
		case s.Err != nil && s != Sample{Err: s.Err}:
			t.Fatalf("%s: a value beside an error: %+v", one, s)
		case s.Err != nil:
		case !(s.Value >= 0 && s.Value <= top) || !(s.Raw >= 0 && s.Raw < 1e300):
			t.Fatalf("%s: %+v", one, s)
		case s.At > r.At || s.From == NoSource:
			t.Fatalf("%s: %+v in a reading of %d", one, s, r.At)
		}
	}
	if !(r.CPULimit >= 0 && r.CPULimit < 1e20) {
		t.Fatalf("limit of %v CPUs", r.CPULimit)
	}
}

func sampler(o Options, k *kernel, b *box) *Sampler {
	if k == nil {
		return newSampler(o, nil, b)
	}
	return newSampler(o, k, b)
}

// read is Read, and plausible.
func read(t *testing.T, s *Sampler, now patterns.Instant) Reading {
	t.Helper()
	r := s.Read(now)
	plausible(t, r)
	return r
}
