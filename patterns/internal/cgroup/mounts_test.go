package cgroup

import (
	"slices"
	"testing"
)

func TestMountsOfControlGroups(t *testing.T) {
	const docker = "/docker/abc"
	text := `22 1 8:1 / / rw,relatime - ext4 /dev/root rw
31 23 0:28 / /sys/fs/cgroup rw,relatime - tmpfs tmpfs rw,mode=755
32 31 0:29 ` + docker + ` /sys/fs/cgroup/cpu,cpuacct ro master:11 propagate_from:1 - cgroup cgroup rw,cpu,cpuacct
35 31 0:32 / /sys/fs/cgroup/memory rw,relatime - cgroup cgroup rw,memory
41 31 0:38 /a\040b /sys/fs/cgroup/uni\134fied rw,relatime - cgroup2 cgroup2 rw
42 31 0:38 relative /x rw - cgroup2 cgroup2 rw
43 31 0:38 / rw - cgroup2 cgroup2 rw
44 0:38
45 31 0:38 / /cut off - cgroup2
46 31 0:38 / /x rw - cgroup3 x rw
47 31 0:38 / /last\9 rw - cgroup2 cgroup2 rw`
	want := []Mount{
		{1, docker, "/sys/fs/cgroup/cpu,cpuacct", "rw,cpu,cpuacct"},
		{1, "/", "/sys/fs/cgroup/memory", "rw,memory"},
		{2, "/a b", `/sys/fs/cgroup/uni\fied`, ""},
		{2, "/", `/last\9`, ""},
	}
	if got := ParseMounts([]byte(text)); !slices.Equal(got, want) {
		t.Errorf("%+v, want %+v", got, want)
	}
	if m := want[0]; !m.Controls("cpu") || !m.Controls("cpuacct") || m.Controls("cpua") || m.Controls("memory") {
		t.Error("wrong about controllers")
	}
}

func TestWhereAGroupIsSeen(t *testing.T) {
	tests := []struct {
		name, root, group, want string
	}{
		{"the whole tree", "/", "/docker/abc", "/m/docker/abc"},
		{"the root of the whole tree", "/", "/", "/m"},
		{"a container's own group only", "/docker/abc", "/docker/abc", "/m"},
		{"a group below it", "/docker/abc", "/docker/abc/init", "/m/init"},
		{"a name that only begins alike", "/docker/abc", "/docker/abcd", ""},
		{"another part of the tree", "/docker/abc", "/system.slice", ""},
		{"outside of the namespace", "/", "/../other", ""},
		{"just outside of it", "/", "/..", ""},
		{"outside, where the mount begins there too", "/../other", "/../other/x", "/m/x"},
		{"never above the mount", "/", "/a/../../x", ""},
		{"a name with dots", "/", "/..other", "/m/..other"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, ok := Mount{2, tt.root, "/m", ""}.Find(tt.group)
			if got != tt.want || ok != (tt.want != "") {
				t.Errorf("%q, %v, want %q", got, ok, tt.want)
			}
		})
	}
}

func TestEscapedPaths(t *testing.T) {
	for text, want := range map[string]string{
		`plain`: "plain", `a\040b`: "a b", `\134`: `\`, `\011\012`: "\t\n", `\04`: `\04`, `\`: `\`,
		`\400`: `\400`, `\377`: "\xff", `\048`: `\048`, `\0404`: " 4", `\\040`: `\ `,
	} {
		if got := unescape([]byte(text)); got != want {
			t.Errorf("%s is %q, want %q", text, got, want)
		}
	}
}
