package sampler

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path"
	"strings"

	"github.com/bulwark-go/bulwark/patterns/internal/cgroup"
)

const (
	membershipFile = "proc/self/cgroup"
	mountsFile     = "proc/self/mountinfo"
	maxMounts      = 4 << 20 // bytes of it; nodes that run many containers have hundreds of kilobytes
	maxDepth       = 64      // levels of groups that are looked at
)

// places are the folders in which the process's groups are seen: for each controller its
// own first, then those above it up to what is mounted. None if it is not seen.
type places struct {
	unified, cpu, cpuacct, cpuset, memory []string
	// Whether the controller is under v1.
	cpuV1, cpusetV1, memoryV1 bool

	why error // something is not seen
}

func (p *places) unseen(controller string) error {
	if p.why != nil {
		return p.why
	}
	return fmt.Errorf("%w: the process is in no group that the %s controller is on in", ErrUnavailable, controller)
}

// find looks for the groups of m.
func find(fsys fs.FS, m cgroup.Membership) (p places) {
	mounts := mountsOf(fsys)
	var errs []error
	see := func(version int, controller, group string) []string {
		dirs, err := locate(fsys, mounts, version, controller, group)
		if err != nil {
			errs = append(errs, err)
		}
		return dirs
	}
	if m.Unified != "" {
		p.unified = see(2, "", m.Unified)
	}
	either := func(controller, group string) (dirs []string, v1 bool) {
		if group == "" {
			return p.unified, false
		}
		return see(1, controller, group), true
	}
	p.cpu, p.cpuV1 = either("cpu", m.CPU)
	p.cpuacct, _ = either("cpuacct", m.CPUAcct)
	p.cpuset, p.cpusetV1 = either("cpuset", m.CPUSet)
	p.memory, p.memoryV1 = either("memory", m.Memory)
	p.why = errors.Join(errs...)
	return p
}

// mountsOf returns where groups are mounted, or if that is not told, where they are by
// convention.
func mountsOf(fsys fs.FS) []cgroup.Mount {
	if mounts := cgroup.ParseMounts(readOnce(fsys, mountsFile, maxMounts)); len(mounts) > 0 {
		return mounts
	}
	const at = "/sys/fs/cgroup"
	mounts := []cgroup.Mount{{Version: 2, Root: "/", Point: at + "/unified"}, {Version: 2, Root: "/", Point: at}}
	for _, c := range []string{"cpu,cpuacct", "cpuacct,cpu", "cpu", "cpuacct", "cpuset", "memory"} {
		mounts = append(mounts, cgroup.Mount{Version: 1, Root: "/", Point: at + "/" + c, Controllers: c})
	}
	return mounts
}

// readOnce returns the first limit bytes of a file, nothing if it cannot be read.
func readOnce(fsys fs.FS, name string, limit int64) []byte {
	f, err := fsys.Open(name)
	if err != nil {
		return nil
	}
	defer f.Close() //nolint:errcheck // it was read only
	text, err := io.ReadAll(io.LimitReader(f, limit))
	if err != nil {
		return nil
	}
	return text
}

// locate returns the folder of group and those above it.
func locate(fsys fs.FS, mounts []cgroup.Mount, version int, controller, group string) ([]string, error) {
	var point, inside string // a mount that would show the group if it were there
	for _, m := range mounts {
		if m.Version != version || version == 1 && !m.Controls(controller) {
			continue
		}
		if dir, ok := m.Find(group); ok {
			if exists(fsys, dir) {
				return above(m.Point, dir), nil
			}
			if point == "" && exists(fsys, m.Point) {
				point, inside = m.Point, dir
			}
		}
	}
	if point == "" {
		return nil, fmt.Errorf("%w: group %s of cgroup v%d %s is not mounted", ErrUnavailable, group, version, controller)
	}
	// In a container that sees its group as the root of the tree, without being told so:
	// the nearest folder above that exists is its own.
	for !exists(fsys, inside) {
		inside = path.Dir(inside)
	}
	return above(point, inside), nil
}

func exists(fsys fs.FS, dir string) bool {
	_, err := fs.Stat(fsys, relative(dir))
	return err == nil
}

// above returns dir and the folders above it, up to top.
func above(top, dir string) (dirs []string) {
	top = path.Clean(top)
	for range maxDepth {
		dirs = append(dirs, relative(dir))
		if dir == top || dir == "/" {
			break
		}
		dir = path.Dir(dir)
	}
	return dirs
}

// relative turns an absolute path into one of an fs.FS.
func relative(dir string) string {
	if dir = strings.TrimPrefix(dir, "/"); dir == "" {
		return "."
	}
	return dir
}
