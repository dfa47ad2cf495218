package sampler

import (
	"errors"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strings"

	"github.com/bulwark-go/bulwark/patterns/internal/cgroup"
)

// group is the files of the process's groups that are read, and what is kept of their
// last readings.
type group struct {
	cpu    []*cpuLevel // the process's own group first
	cpuset *file       // nil if nothing says which CPUs
	memory []*memoryLevel
	psi    [len(psiNames)]stalls

	// Why cpu or memory is empty.
	noCPU, noMemory error

	files []*file
}

var psiNames = [...]string{"cpu", "memory", "io"}

// cpuLevel is what one group may use and uses. Files that there are not are nil.
type cpuLevel struct {
	quota, period *file // v2 has both in one
	usage, stat   *file // v2 has both in one
	v1            bool

	meter    cgroup.Meter
	throttle cgroup.Throttle
}

// memoryLevel is what one group may have and has.
type memoryLevel struct {
	limit, soft, current, stat *file
	v1                         bool
}

// stalls is one file of pressure stall information.
type stalls struct {
	file       *file
	from       Source
	some, full cgroup.Meter
}

// discover finds the groups of a process whose membershipFile says text, and those files
// of theirs that signals and scope need.
func discover(fsys fs.FS, text []byte, err error, signals Signal, scope Scope) *group {
	g := &group{}
	var p places
	var m cgroup.Membership
	if err == nil {
		m, err = cgroup.ParseMembership(text)
	}
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, cgroup.ErrNoGroup) {
		err = fmt.Errorf("%w: %w", ErrUnavailable, err)
	}
	if err == nil {
		p = find(fsys, m)
	}
	g.noCPU, g.noMemory = err, err
	if err == nil && (signals.Has(CPU) && scope != Host || signals.Has(Throttled)) {
		g.findCPU(fsys, p)
	}
	if err == nil && signals.Has(Memory) && scope != Host {
		g.findMemory(fsys, p)
	}
	g.findPressure(fsys, p, signals)
	return g
}

// file returns the one of that name in dir, nil if there is none. One that there is and
// that cannot be opened will say so whenever it is read.
func (g *group) file(fsys fs.FS, dir, name string) *file {
	f := &file{path: path.Join(dir, name)}
	if errors.Is(f.ready(fsys), fs.ErrNotExist) {
		return nil
	}
	g.files = append(g.files, f)
	return f
}

func (g *group) findCPU(fsys fs.FS, p places) {
	for i, dir := range p.cpu {
		l := &cpuLevel{v1: p.cpuV1}
		if l.v1 {
			l.quota = g.file(fsys, dir, "cpu.cfs_quota_us")
		} else {
			l.quota = g.file(fsys, dir, "cpu.max")
		}
		if i > 0 && l.quota == nil {
			continue // the root, or the controller is not on here
		}
		l.stat = g.file(fsys, dir, "cpu.stat")
		switch {
		case !l.v1:
			l.usage = l.stat
		// The two controllers may be mounted apart, and be of different groups.
		case i < len(p.cpuacct) && (i == 0 || depth(p.cpu) == depth(p.cpuacct)):
			l.usage = g.file(fsys, p.cpuacct[i], "cpuacct.usage")
		}
		if l.v1 {
			l.period = g.file(fsys, dir, "cpu.cfs_period_us")
		}
		g.cpu = append(g.cpu, l)
	}
	switch {
	case len(g.cpu) == 0:
		g.noCPU = p.unseen("CPU")
	case g.cpu[0].usage == nil:
		g.cpu, g.noCPU = nil, fmt.Errorf("%w: group %s has no file that says how much CPU it used", ErrUnavailable, p.cpu[0])
	}
	for _, dir := range p.cpuset {
		name := "cpuset.cpus.effective"
		if p.cpusetV1 {
			name = "cpuset.cpus"
		}
		if g.cpuset = g.file(fsys, dir, name); g.cpuset != nil {
			break
		}
	}
}

// depth is below what is mounted.
func depth(dirs []string) string {
	own, top := dirs[0], dirs[len(dirs)-1]
	return strings.TrimPrefix(own, top)
}

func (g *group) findMemory(fsys fs.FS, p places) {
	for _, dir := range p.memory {
		l := &memoryLevel{v1: p.memoryV1}
		limit, current := "memory.max", "memory.current"
		if l.v1 {
			limit, current = "memory.limit_in_bytes", "memory.usage_in_bytes"
		}
		if l.limit = g.file(fsys, dir, limit); l.limit == nil {
			continue // the root, or the controller is not on here: the group above is charged
		}
		l.current, l.stat = g.file(fsys, dir, current), g.file(fsys, dir, "memory.stat")
		if !l.v1 {
			l.soft = g.file(fsys, dir, "memory.high")
		}
		if len(g.memory) == 0 && (l.current == nil || l.stat == nil) {
			// A limit without what it is a limit of: the machine's numbers would mislead.
			g.noMemory = fmt.Errorf("sampler: group %s has a memory limit, and no file that says how much it uses", dir)
			return
		}
		g.memory = append(g.memory, l)
	}
	if len(g.memory) == 0 {
		g.noMemory = p.unseen("memory")
	}
}

func (g *group) findPressure(fsys fs.FS, p places, signals Signal) {
	wanted := [...]Signal{CPUPressure, MemoryPressure | MemoryStall, IOPressure | IOStall}
	for i, name := range psiNames {
		if signals&wanted[i] == 0 {
			continue
		}
		s := &g.psi[i]
		if len(p.unified) > 0 {
			s.file, s.from = g.file(fsys, p.unified[0], name+".pressure"), FromGroup
		}
		if s.file == nil {
			s.file, s.from = g.file(fsys, "proc/pressure", name), FromHost
		}
	}
}

func (g *group) close() {
	for _, f := range g.files {
		f.close()
	}
}

// adopt takes h's open files if g reads the same ones, so that what g keeps of its last
// readings is not lost.
func (g *group) adopt(h *group) bool {
	same := slices.EqualFunc(g.files, h.files, func(a, b *file) bool { return a.path == b.path })
	if same {
		g.close()
		for i, f := range g.files {
			f.open = h.files[i].open
		}
	}
	return same
}
