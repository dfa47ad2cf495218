package cgroup

import (
	"bytes"
	"path"
	"strings"
)

// Mount is one place where groups can be seen.
type Mount struct {
	Version     int    // 1 or 2
	Root        string // which group is at Point
	Point       string // an absolute path
	Controllers string // of v1, with other options, separated by commas
}

// ParseMounts returns those mounts in /proc/self/mountinfo that are of control groups.
// Lines that it cannot read are not.
func ParseMounts(text []byte) []Mount {
	var mounts []Mount
	for len(text) > 0 {
		var line []byte
		line, text, _ = bytes.Cut(text, newline())
		if m, ok := parseMount(line); ok {
			mounts = append(mounts, m)
		}
	}
	return mounts
}

// parseMount reads a line such as
//
//	36 35 98:0 /root /point rw,noatime master:1 - cgroup source rw,cpu,cpuacct
func parseMount(line []byte) (m Mount, ok bool) {
	before, after, ok := bytes.Cut(line, []byte(" - "))
	if !ok {
		return m, false
	}
	kind, after, ok := bytes.Cut(after, space())
	switch {
	case ok && string(kind) == "cgroup2":
		m.Version = 2
	case ok && string(kind) == "cgroup":
		m.Version = 1
		_, options, _ := bytes.Cut(after, space())
		m.Controllers = string(options)
	default:
		return m, false
	}
	for range 3 {
		_, before, ok = bytes.Cut(before, space())
		if !ok {
			return m, false
		}
	}
	root, before, ok1 := bytes.Cut(before, space())
	point, _, _ := bytes.Cut(before, space())
	m.Root, m.Point = unescape(root), unescape(point)
	return m, ok1 && strings.HasPrefix(m.Root, "/") && strings.HasPrefix(m.Point, "/")
}

// unescape undoes how the kernel writes a blank in a path: as \040.
func unescape(text []byte) string {
	if bytes.IndexByte(text, '\\') < 0 {
		return string(text)
	}
	out := make([]byte, 0, len(text))
	for i := 0; i < len(text); i++ {
		if c, ok := octal(text[i:]); ok {
			out, i = append(out, c), i+3
			continue
		}
		out = append(out, text[i])
	}
	return string(out)
}

func octal(text []byte) (c byte, ok bool) {
	if len(text) < 4 || text[0] != '\\' || text[1] > '3' {
		return 0, false
	}
	for _, d := range text[1:4] {
		if d < '0' || d > '7' {
			return 0, false
		}
		c = c<<3 | (d - '0')
	}
	return c, true
}

// Controls reports whether m has a controller of v1.
func (m Mount) Controls(controller string) bool {
	for c := range strings.SplitSeq(m.Controllers, ",") {
		if c == controller {
			return true
		}
	}
	return false
}

// Find returns the folder, at or below Point, in which group is seen through m. It is
// not if m shows another part of the tree. A group outside of the process's namespace
// has a path that begins with "/..", of which only the same beginning in Root says where
// that is.
func (m Mount) Find(group string) (dir string, ok bool) {
	rel, ok := strings.CutPrefix(group, strings.TrimSuffix(m.Root, "/"))
	if !ok || rel != "" && rel[0] != '/' || strings.Contains(rel+"/", "/../") {
		return "", false
	}
	return path.Join(m.Point, rel), true
}
