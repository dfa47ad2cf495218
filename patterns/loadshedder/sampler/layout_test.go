package sampler

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"syscall"
	"testing"

	"github.com/bulwark-go/bulwark/patterns"
)

// v1 is the files of a group of cgroup v1, whose controllers are mounted at cg.
func v1(group, quota string, usage int, limit string, current int) map[string]string {
	return under(cg, map[string]string{
		"cpu,cpuacct" + group + "/cpu.cfs_quota_us":  quota + "\n",
		"cpu,cpuacct" + group + "/cpu.cfs_period_us": "100000\n",
		"cpu,cpuacct" + group + "/cpu.stat":          "nr_periods 0\nnr_throttled 0\nthrottled_time 0\n",
		"cpu,cpuacct" + group + "/cpuacct.usage":     fmt.Sprintf("%d000\n", usage),
		"memory" + group + "/memory.limit_in_bytes":  limit + "\n",
		"memory" + group + "/memory.usage_in_bytes":  fmt.Sprintln(current),
		"memory" + group + "/memory.stat":            "cache 1\ninactive_file 99999999\nhierarchical_memory_limit 9223372036854771712\ntotal_inactive_file 0\n",
		"cpuset" + group + "/cpuset.cpus":            "0-7\n",
		"cpuset" + group + "/cpuset.cpus.effective":  "0\n", // of v2, and not there
	})
}

const (
	noLimitV1 = "9223372036854771712"
	inDocker  = "12:cpu,cpuacct:/docker/abc\n11:memory:/docker/abc\n10:cpuset:/docker/abc\n1:name=systemd:/docker/abc\n0::/system.slice\n"
)

// mountsV1 are those of v1 whose root is the group root.
func mountsV1(root string) string {
	return mount(root, "/sys/fs/cgroup/cpu,cpuacct", "cgroup", "cpu,cpuacct") +
		mount(root, "/sys/fs/cgroup/memory", "cgroup", "memory") +
		mount(root, "/sys/fs/cgroup/cpuset", "cgroup", "cpuset")
}

// What is measured wherever a process may find itself: between two Reads, one second
// apart, files become what later says. The machine has 8 CPUs, of which 7.2 are busy,
// and 1000 MB, of which 900 are used; the process used 0.4 s.
func TestWhereverAProcessIs(t *testing.T) {
	files := func(all ...map[string]string) map[string]string {
		into := map[string]string{}
		for _, f := range all {
			maps.Copy(into, f)
		}
		return into
	}
	const own = cg + "/kubepods/pod/c"
	inPod := self("0::/kubepods/pod/c\n", unified)
	tests := []struct {
		name         string
		scope        Scope
		files, later map[string]string
		cpu, memory  string // value, limit
	}{
		{
			"v2, a namespace of its own", Auto,
			files(self("0::/\n", unified), v2(cg, "50000 100000", 0, "209715200", 50*mb)),
			v2(cg, "50000 100000", 250_000, "209715200", 50*mb),
			"0.5 of group, 0.5", "0.25 of group, 200",
		},
		{
			"v2, more than the quota", Auto,
			files(self("0::/\n", unified), v2(cg, "50000 100000", 0, "104857600", 150*mb)),
			v2(cg, "50000 100000", 600_000, "104857600", 150*mb),
			"1.2 of group, 0.5", "1.5 of group, 100",
		},
		{
			"v2, without a quota or limit: the machine's", Auto,
			files(self("0::/\n", unified), v2(cg, "max 100000", 0, "max", 50*mb)),
			v2(cg, "max 100000", 250_000, "max", 50*mb),
			"0.9 of host, 8", "0.9 of host, 1000",
		},
		{
			"v2, without a quota or limit, and the group's is wanted", Group,
			files(self("0::/\n", unified), v2(cg, "max", 0, "max", 50*mb)),
			v2(cg, "max", 4_000_000, "max", 50*mb),
			"0.5 of group, 8", "0.05 of group, 1000",
		},
		{
			"v2, with both, and the machine's is wanted", Host,
			files(self("0::/\n", unified), v2(cg, "50000 100000", 0, "104857600", 50*mb)),
			v2(cg, "50000 100000", 500_000, "104857600", 50*mb),
			"0.9 of host, 8", "0.9 of host, 1000",
		},
		{
			"v2, a limit beyond what the machine has", Auto,
			files(self("0::/\n", unified), v2(cg, "max", 0, "1048576000", 50*mb)), nil,
			"0.9 of host, 8", "0.9 of host, 1000",
		},
		{
			"v2, the least of the quotas above", Auto,
			files(
				inPod, v2(own, "400000 100000", 0, "max", 50*mb),
				v2(cg+"/kubepods/pod", "100000 100000", 0, "209715200", 50*mb), v2(cg+"/kubepods", "max", 0, "419430400", 50*mb),
			),
			files(v2(own, "400000 100000", 250_000, "max", 50*mb), v2(cg+"/kubepods/pod", "100000 100000", 250_000, "209715200", 50*mb)),
			"0.25 of group, 1", "0.25 of group, 200",
		},
		{
			"v2, the least of the quotas is the own", Auto,
			files(inPod, v2(own, "50000 100000", 0, "104857600", 50*mb), v2(cg+"/kubepods/pod", "200000 100000", 0, "209715200", 50*mb)),
			files(v2(own, "50000 100000", 100_000, "104857600", 25*mb), v2(cg+"/kubepods/pod", "200000 100000", 1_000_000, "209715200", 100*mb)),
			"0.5 of group, 0.5", "0.5 of group, 100",
		},
		{
			"v2, siblings that use up what is above", Auto,
			files(
				inPod, v2(own, "400000 100000", 0, "max", 50*mb),
				v2(cg+"/kubepods/pod", "200000 100000", 0, "209715200", 150*mb), v2(cg+"/kubepods", "max", 0, "max", 990*mb),
			),
			files(v2(own, "400000 100000", 100_000, "max", 50*mb), v2(cg+"/kubepods/pod", "200000 100000", 1_900_000, "209715200", 150*mb)),
			"0.95 of group, 2", "0.75 of group, 200",
		},
		{
			"v2, a quota above without its usage", Auto,
			files(
				inPod, v2(own, "max", 0, "max", 50*mb),
				map[string]string{cg + "/kubepods/cpu.max": "50000 100000", cg + "/kubepods/memory.max": "104857600"},
			),
			v2(own, "max", 250_000, "max", 50*mb),
			"0.5 of group, 0.5", "0.5 of group, 100",
		},
		{
			"v2, fewer CPUs than the quota says", Auto,
			files(self("0::/\n", unified), v2(cg, "400000 100000", 0, "max", 0), map[string]string{cg + "/cpuset.cpus.effective": "2-3\n"}),
			v2(cg, "400000 100000", 1_000_000, "max", 0),
			"0.5 of group, 2", "0.9 of host, 1000",
		},
		{
			"v2, fewer CPUs and no quota: full if those are", Auto,
			files(inPod, v2(own, "max", 0, "max", 0), map[string]string{cg + "/kubepods/cpuset.cpus.effective": "2-3\n"}),
			v2(own, "max", 1_900_000, "max", 0),
			"0.95 of group, 2", "0.9 of host, 1000",
		},
		{
			"v2, the CPUs that the nearest group above is given", Group,
			files(inPod, v2(own, "max", 0, "max", 0), map[string]string{
				cg + "/kubepods/pod/cpuset.cpus.effective": "0-3\n", cg + "/cpuset.cpus.effective": "0-7\n",
			}),
			v2(own, "max", 1_000_000, "max", 0),
			"0.25 of group, 4", "0 of group, 1000",
		},
		{
			"v2, a set of CPUs that is empty is not set", Group,
			files(self("0::/\n", unified), v2(cg, "max", 0, "max", 0), map[string]string{cg + "/cpuset.cpus.effective": "\n"}),
			v2(cg, "max", 2_000_000, "max", 0),
			"0.25 of group, 8", "0 of group, 1000",
		},
		{
			"v2, a process bound to one CPU, which it fills by 40 %", Auto,
			files(self("0::/\n", unified), v2(cg, "400000 100000", 0, "max", 0), map[string]string{"proc/self/status": "Name:\tx\nCpus_allowed:\t1\nCpus_allowed_list:\t0\n"}),
			v2(cg, "400000 100000", 800_000, "max", 0),
			"0.4 of process, 1", "0.9 of host, 1000",
		},
		{
			"a process bound to all CPUs is not bound", Group,
			files(self("0::/\n", unified), v2(cg, "max", 0, "max", 0), map[string]string{"proc/self/status": "Cpus_allowed_list:\t0-7\n"}),
			v2(cg, "max", 80_000, "max", 0),
			"0.01 of group, 8", "0 of group, 1000",
		},
		{
			"v2, the soft limit is the lower one", Auto,
			files(self("0::/\n", unified), v2(cg, "max", 0, "209715200", 75*mb), map[string]string{cg + "/memory.high": "104857600\n"}), nil,
			"0.9 of host, 8", "0.75 of group, 100",
		},
		{
			"v2, files that nobody uses do not count", Auto,
			files(self("0::/\n", unified), v2(cg, "max", 0, "104857600", 75*mb), map[string]string{cg + "/memory.stat": fmt.Sprintf("inactive_file %d\n", 50*mb)}), nil,
			"0.9 of host, 8", "0.25 of group, 100",
		},
		{
			"v2, nothing allowed is all used", Auto,
			files(self("0::/\n", unified), v2(cg, "max", 0, "0", 0)), nil,
			"0.9 of host, 8", "1 of group, 0",
		},
		{
			"v2, nothing above what is mounted counts", Auto,
			files(self("0::/\n", unified), v2(cg, "50000 100000", 0, "104857600", 50*mb), map[string]string{"sys/fs/cpu.max": "1 100000", "sys/fs/memory.max": "1"}),
			v2(cg, "50000 100000", 100_000, "104857600", 50*mb),
			"0.2 of group, 0.5", "0.5 of group, 100",
		},
		{
			"v2, the root of the machine", Auto,
			files(self("0::/\n", unified), map[string]string{cg + "/cpu.stat": "usage_usec 0\n", cg + "/memory.stat": "inactive_file 0\n"}), nil,
			"0.9 of host, 8", "0.9 of host, 1000",
		},
		{
			"v2, controllers that are not on in the own group", Auto,
			files(
				inPod, map[string]string{own + "/cpu.stat": "usage_usec 0\n"}, v2(cg+"/kubepods/pod", "50000 100000", 0, "104857600", 50*mb),
			),
			files(map[string]string{own + "/cpu.stat": "usage_usec 100000\n"}, v2(cg+"/kubepods/pod", "50000 100000", 400_000, "104857600", 50*mb)),
			"0.8 of group, 0.5", "0.5 of group, 100",
		},
		{
			"v2, mounted elsewhere", Auto,
			files(self("0::/a b\n", mount("/", `/my\040groups`, "cgroup2", "x")), v2("my groups/a b", "50000 100000", 0, "104857600", 50*mb)),
			v2("my groups/a b", "50000 100000", 100_000, "104857600", 50*mb),
			"0.2 of group, 0.5", "0.5 of group, 100",
		},
		{
			"v2, a mount that shows another part of the tree is passed over", Auto,
			files(
				self("0::/kubepods/pod/c\n", mount("/other", "/x", "cgroup2", "")+mount("/kubepods", "/y", "cgroup2", "")),
				v2("x", "1 100000", 0, "1", 0), v2("y/pod/c", "50000 100000", 0, "104857600", 50*mb),
			),
			v2("y/pod/c", "50000 100000", 100_000, "104857600", 50*mb),
			"0.2 of group, 0.5", "0.5 of group, 100",
		},
		{
			"v2, and nobody tells what is mounted", Auto,
			files(map[string]string{"proc/self/cgroup": "0::/\n"}, v2(cg, "50000 100000", 0, "104857600", 50*mb)),
			v2(cg, "50000 100000", 100_000, "104857600", 50*mb),
			"0.2 of group, 0.5", "0.5 of group, 100",
		},
		{
			"v2, a container's path on the host, and nobody tells what is mounted", Auto,
			files(map[string]string{"proc/self/cgroup": "0::/docker/x\n", "sys/fs/cpu.max": "1 100000"}, v2(cg, "50000 100000", 0, "104857600", 50*mb)),
			v2(cg, "50000 100000", 100_000, "104857600", 50*mb),
			"0.2 of group, 0.5", "0.5 of group, 100",
		},
		{
			"v2, a group that is not seen: the nearest above is", Auto,
			files(inPod, v2(cg+"/kubepods", "50000 100000", 0, "104857600", 50*mb)),
			v2(cg+"/kubepods", "50000 100000", 100_000, "104857600", 50*mb),
			"0.2 of group, 0.5", "0.5 of group, 100",
		},
		{
			"v2, a group that neither of two mounts shows: the nearest above in the first", Auto,
			files(
				self("0::/kubepods/pod/c\n", mount("/", "/x", "cgroup2", "")+mount("/", "/y", "cgroup2", "")),
				v2("x/kubepods", "50000 100000", 0, "104857600", 50*mb), v2("y/kubepods", "1 100000", 0, "1", 50*mb),
			),
			v2("x/kubepods", "50000 100000", 100_000, "104857600", 50*mb),
			"0.2 of group, 0.5", "0.5 of group, 100",
		},
		{
			"v2, outside of the namespace: another's numbers are not ours", Auto,
			files(self("0::/../x\n", unified), v2(cg, "50000 100000", 0, "104857600", 50*mb)),
			v2(cg, "50000 100000", 500_000, "104857600", 50*mb),
			"0.9 of host, 8", "0.9 of host, 1000",
		},
		{
			"v2, outside of the namespace, and the group's is wanted", Group,
			files(self("0::/../x\n", unified), v2(cg, "50000 100000", 0, "104857600", 50*mb)), nil,
			"unavailable, 8", "unavailable, 0",
		},
		{
			"v1, a container that sees its own group only", Auto,
			files(self(inDocker, mountsV1("/docker/abc")), v1("", "50000", 0, "209715200", 50*mb)),
			v1("", "50000", 250_000, "209715200", 50*mb),
			"0.5 of group, 0.5", "0.25 of group, 200",
		},
		{
			"v1, a container that is not told that it does", Auto,
			files(map[string]string{"proc/self/cgroup": inDocker}, v1("", "50000", 0, "209715200", 50*mb)),
			v1("", "50000", 250_000, "209715200", 50*mb),
			"0.5 of group, 0.5", "0.25 of group, 200",
		},
		{
			"v1, the whole tree, with siblings", Auto,
			files(
				self(inDocker, mountsV1("/")), v1("/docker/abc", "-1", 0, noLimitV1, 50*mb),
				v1("/docker", "200000", 0, "209715200", 150*mb), v1("", "-1", 0, noLimitV1, 0),
			),
			files(v1("/docker/abc", "-1", 100_000, noLimitV1, 50*mb), v1("/docker", "200000", 1_900_000, "209715200", 150*mb)),
			"0.95 of group, 2", "0.75 of group, 200",
		},
		{
			"v1, without limits", Auto,
			files(self(inDocker, mountsV1("/docker/abc")), v1("", "-1", 0, noLimitV1, 50*mb)),
			v1("", "-1", 250_000, noLimitV1, 50*mb),
			"0.9 of host, 8", "0.9 of host, 1000",
		},
		{
			"v1, a limit above that cannot be seen", Auto,
			files(self(inDocker, mountsV1("/docker/abc")), v1("", "-1", 0, noLimitV1, 50*mb), map[string]string{
				cg + "/memory/memory.stat": "hierarchical_memory_limit 104857600\ntotal_inactive_file 0\n",
			}), nil,
			"0.9 of host, 8", "0.5 of group, 100",
		},
		{
			"v1, kernels that do not tell of such limits", Auto,
			files(self(inDocker, mountsV1("/docker/abc")), v1("", "-1", 0, "104857600", 50*mb), map[string]string{
				cg + "/memory/memory.stat": "total_inactive_file 0\n",
			}), nil,
			"0.9 of host, 8", "0.5 of group, 100",
		},
		{
			"v1, cpu and cpuacct mounted apart", Auto,
			files(
				self("2:cpu:/a\n3:cpuacct:/b\n", mount("/", "/c1", "cgroup", "cpu")+mount("/", "/c2", "cgroup", "cpuacct")),
				map[string]string{
					"c1/a/cpu.cfs_quota_us": "50000\n", "c1/a/cpu.cfs_period_us": "100000\n", "c2/b/cpuacct.usage": "0\n",
					"c1/cpu.cfs_quota_us": "40000\n", "c1/cpu.cfs_period_us": "100000\n", "c2/cpuacct.usage": "0\n",
				},
			),
			map[string]string{"c2/b/cpuacct.usage": "200000000\n", "c2/cpuacct.usage": "9200000000\n"},
			"0.5 of group, 0.4", "0.9 of host, 1000",
		},
		{
			"v1, cpuacct not mounted", Auto,
			files(self("2:cpu:/a\n3:cpuacct:/b\n", mount("/", "/c1", "cgroup", "cpu")), map[string]string{"c1/a/cpu.cfs_quota_us": "50000\n", "c1/a/cpu.cfs_period_us": "100000\n"}), nil,
			"0.9 of host, 8", "0.9 of host, 1000",
		},
		{
			"a hybrid: CPU under v2, memory under v1", Auto,
			files(
				self("4:memory:/m\n0::/u\n", mountsV1("/")+mount("/", "/sys/fs/cgroup/unified", "cgroup2", "")),
				v2(cg+"/cpu,cpuacct/u", "1 100000", 0, "1", 0), v2(cg+"/unified/u", "50000 100000", 0, "1", 0), v1("/m", "1", 0, "104857600", 50*mb),
			),
			v2(cg+"/unified/u", "50000 100000", 100_000, "1", 0),
			"0.2 of group, 0.5", "0.5 of group, 100",
		},
		{
			"a hybrid that has all of it under v1, and tells nothing of mounts", Auto,
			files(map[string]string{"proc/self/cgroup": inDocker, cg + "/unified/cgroup.procs": ""}, v1("/docker/abc", "50000", 0, "104857600", 50*mb)),
			v1("/docker/abc", "50000", 100_000, "104857600", 50*mb),
			"0.2 of group, 0.5", "0.5 of group, 100",
		},
		{
			"a quota doubled while the process runs counts at once", Auto,
			files(self("0::/\n", unified), v2(cg, "50000 100000", 0, "104857600", 50*mb)),
			v2(cg, "100000 100000", 250_000, "209715200", 50*mb),
			"0.25 of group, 1", "0.25 of group, 200",
		},
		{
			"a quota cut by half counts from the next Read", Auto,
			files(self("0::/\n", unified), v2(cg, "100000 100000", 0, "209715200", 50*mb)),
			v2(cg, "50000 100000", 500_000, "104857600", 50*mb),
			"0.5 of group, 0.5", "0.5 of group, 100",
		},
		{
			"a quota that goes away: the machine's, once there are two readings of it", Auto,
			files(self("0::/\n", unified), v2(cg, "100000 100000", 0, "209715200", 50*mb)),
			v2(cg, "max 100000", 500_000, "max", 50*mb),
			"pending, 8", "0.9 of host, 1000",
		},
		{
			"usage that goes back", Auto,
			files(self("0::/\n", unified), v2(cg, "100000 100000", 500, "209715200", 50*mb)),
			v2(cg, "100000 100000", 499, "209715200", 50*mb),
			"pending, 1", "0.25 of group, 200",
		},
		{
			"a process in no group", Auto,
			files(self("1:name=systemd:/x\n", unified), v2(cg, "1 100000", 0, "1", 0)), nil,
			"0.9 of host, 8", "0.9 of host, 1000",
		},
		{
			"a machine without groups", Auto,
			nil, nil, "0.9 of host, 8", "0.9 of host, 1000",
		},
		{
			"a machine without groups, and the group's is wanted", Group,
			nil, nil, "unavailable, 8", "unavailable, 0",
		},
		{
			"groups that are not mounted", Auto,
			self("0::/x\n", ""), nil, "0.9 of host, 8", "0.9 of host, 1000",
		},
		{
			"a membership that cannot be understood: there may be a quota", Auto,
			files(self("garbage\n", unified), v2(cg, "1 100000", 0, "1", 0)), nil,
			"failed, 8", "failed, 0",
		},
		{
			"a memory limit without what is used", Auto,
			files(self("0::/\n", unified), map[string]string{cg + "/memory.max": "100\n", cg + "/cpu.stat": "usage_usec 0\n"}), nil,
			"0.9 of host, 8", "failed, 0",
		},
		{
			"a memory limit without what of it could be had back", Auto,
			files(self("0::/\n", unified), map[string]string{cg + "/memory.max": "100\n", cg + "/memory.current": "50\n"}), nil,
			"0.9 of host, 8", "failed, 0",
		},
		{
			"bound to one CPU, and the machine's is wanted", Host,
			map[string]string{"proc/self/status": "Cpus_allowed_list:\t0\n"},
			nil,
			"0.9 of host, 8", "0.9 of host, 1000",
		},
		{
			"a group that does not say what it used, and the group's is wanted", Group,
			files(self("0::/\n", unified), map[string]string{cg + "/cpu.max": "max\n"}), nil,
			"unavailable, 8", "unavailable, 0",
		},
		{
			"a group that does not say what it used", Auto,
			files(self("0::/\n", unified), map[string]string{cg + "/cpu.max": "max\n"}), nil,
			"0.9 of host, 8", "0.9 of host, 1000",
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			k, b := newKernel(tt.files), newBox()
			b.used = 900 * mb
			s1 := sampler(Options{Signals: CPU | Memory, Scope: tt.scope}, k, b)
			if r := read(t, s1, s); r.Of(CPU).Err == nil {
				t.Errorf("a first CPU of %v", r.Of(CPU))
			}
			k.write(tt.later)
			b.busy, b.total, b.spent = 7.2, 8, 4e8
			r := read(t, s1, 2*s)
			cpu := fmt.Sprintf("%s, %g", show(r, CPU), r.CPULimit)
			memory := fmt.Sprintf("%s, %d", show(r, Memory), r.MemoryLimit/mb)
			if want := "cpu " + tt.cpu; cpu != want {
				t.Errorf("%s, want %s (%v)", cpu, want, r.Of(CPU).Err)
			}
			if want := "memory " + tt.memory; memory != want {
				t.Errorf("%s, want %s (%v)", memory, want, r.Of(Memory).Err)
			}
		})
	}
}

func TestValuesAreCutOffAtOneAndRawOnesAreNot(t *testing.T) {
	k := newKernel(self("0::/\n", unified), v2(cg, "50000 100000", 0, "104857600", 150*mb))
	s1 := sampler(Options{}, k, newBox())
	read(t, s1, s)
	k.write(v2(cg, "50000 100000", 600_000, "104857600", 150*mb))
	r := read(t, s1, 2*s)
	for signal, raw := range map[Signal]float64{CPU: 1.2, Memory: 1.5} {
		if got := r.Of(signal); got != (Sample{Value: 1, Raw: raw, At: 2 * s, From: FromGroup}) {
			t.Errorf("%s: %+v", signal, got)
		}
	}
	if r.MemoryUsed != 150*mb || r.MemoryLimit != 100*mb {
		t.Errorf("%d of %d bytes", r.MemoryUsed, r.MemoryLimit)
	}
}

func TestWhatTheMachineDoesNotSay(t *testing.T) {
	gone := errors.New("gone")
	files1 := v1("", "-1", 0, noLimitV1, 50*mb)
	files1["proc/self/cgroup"] = inDocker
	tests := []struct {
		name  string
		scope Scope
		files map[string]string
		box   box
		want  string
	}{
		{"neither CPU times nor memory", Auto, nil, box{n: 8, cpuErr: gone, memErr: gone}, "cpu failed, throttled unavailable, memory failed"},
		{"how much memory there is: a limit is one all the same", Auto, v2(cg, "max", 0, "104857600", 50*mb), box{n: 8, memErr: gone}, "cpu pending, throttled unavailable, memory 0.5 of group"},
		{"how much memory there is, and there is no limit", Group, v2(cg, "max", 0, "max", 50*mb), box{n: 8, memErr: gone}, "cpu pending, throttled unavailable, memory unavailable"},
		{"how much memory there is, and v1 writes no limit as a number", Group, files1, box{n: 8, memErr: gone}, "cpu pending, throttled unavailable, memory unavailable"},
		{"how many CPUs there are", Group, v2(cg, "max", 0, "max", 0), box{has: mb}, "cpu unavailable, throttled unavailable, memory 0 of group"},
		{"how many CPUs there are, but there is a quota", Group, v2(cg, "1000 10000", 0, "max", 0), box{has: mb}, "cpu pending, throttled pending, memory 0 of group"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			k := newKernel(tt.files)
			if _, ok := tt.files["proc/self/cgroup"]; !ok && tt.files != nil {
				k.write(self("0::/\n", unified))
			}
			r := read(t, sampler(Options{Scope: tt.scope}, k, &tt.box), s)
			if got := show(r, CPU|Throttled|Memory); got != tt.want {
				t.Errorf("%s, want %s", got, tt.want)
			}
			if want := 0.1; tt.box.n == 0 && r.Of(Throttled).Err == errFirst && r.CPULimit != want { //nolint:errorlint // never wrapped
				t.Errorf("limit of %v CPUs", r.CPULimit)
			}
		})
	}
}

func TestAProcessMayBeBoundToCPUsThatNobodyCounts(t *testing.T) {
	b := &box{has: mb}
	s1 := sampler(Options{Signals: CPU, Scope: Group}, newKernel(self("0::/\n", unified), v2(cg, "400000 100000", 0, "max", 0),
		map[string]string{"proc/self/status": "Cpus_allowed_list:\t0-1\n"}), b)
	read(t, s1, s)
	b.spent = 1e9
	r := read(t, s1, 2*s)
	if got := show(r, CPU); got != "cpu 0.5 of process" || r.CPULimit != 2 {
		t.Errorf("%s of %v", got, r.CPULimit)
	}
}

func TestOtherSystemsHaveNoGroups(t *testing.T) {
	b := newBox()
	b.used = 500 * mb
	s1 := sampler(Options{}, nil, b)
	read(t, s1, s)
	b.busy, b.total = 2, 8
	const all = CPU | Throttled | Memory | CPUPressure | MemoryStall
	r := read(t, s1, 2*s)
	if got, want := show(r, all), "cpu 0.25 of host, throttled unavailable, memory 0.5 of host, cpu pressure unavailable, memory stall unavailable"; got != want {
		t.Errorf("%s, want %s", got, want)
	}
	if err := s1.Close(); err != nil {
		t.Error(err)
	}
}

func TestShareOfTheMachine(t *testing.T) {
	tests := []struct {
		name                     string
		busy1, all1, busy2, all2 float64
		want                     string
	}{
		{"a quarter", 10, 100, 11, 104, "cpu 0.25 of host"},
		{"idle is 0, and a value", 10, 100, 10, 104, "cpu 0 of host"},
		{"idle time that goes back a little", 10, 100, 14, 103, "cpu 1.33333 of host"},
		{"nothing passed", 10, 100, 10, 100, "cpu pending"},
		{"busy time goes back", 10, 100, 9, 104, "cpu pending"},
		{"all of it goes back", 10, 100, 1, 10, "cpu pending"},
		{"no number", 10, 100, 0 / zero(), 104, "cpu pending"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			b := newBox()
			b.busy, b.total = tt.busy1, tt.all1
			s1 := sampler(Options{Signals: CPU}, nil, b)
			read(t, s1, s)
			b.busy, b.total = tt.busy2, tt.all2
			if got := show(read(t, s1, 2*s), CPU); got != tt.want {
				t.Errorf("%s, want %s", got, tt.want)
			}
			b.busy, b.total = tt.busy2+1, tt.all2+2 // and then as if nothing had been
			if tt.busy2 != tt.busy2 {
				b.busy, b.total = 1, 2
				read(t, s1, 3*s)
				b.busy, b.total = 2, 4
			}
			if got, want := show(read(t, s1, 4*s), CPU), "cpu 0.5 of host"; got != want {
				t.Errorf("%s afterwards, want %s", got, want)
			}
		})
	}
}

func zero() float64 { return 0 }

func TestThrottledPeriods(t *testing.T) {
	stat := func(periods, throttled int) map[string]string {
		return map[string]string{cg + "/a/cpu.stat": fmt.Sprintf("usage_usec 0\nnr_periods %d\nnr_throttled %d\n", periods, throttled)}
	}
	above := func(periods, throttled int) map[string]string {
		return map[string]string{cg + "/cpu.stat": fmt.Sprintf("usage_usec 0\nnr_periods %d\nnr_throttled %d\n", periods, throttled)}
	}
	k := newKernel(self("0::/a\n", unified), v2(cg+"/a", "50000 100000", 0, "max", 0), v2(cg, "max", 0, "max", 0), stat(10, 1), above(0, 0))
	s1 := sampler(Options{Signals: Throttled}, k, newBox())
	for i, step := range []struct {
		files map[string]string
		want  string
	}{
		{nil, "throttled pending"},
		{stat(20, 6), "throttled 0.5 of group"},
		{stat(30, 6), "throttled 0 of group"},
		{nil, "throttled 0 of group"}, // idle
		{map[string]string{cg + "/cpu.max": "100000 100000\n"}, "throttled 0 of group"},
		{above(10, 8), "throttled 0.8 of group"}, // a sibling's doing
		{map[string]string{cg + "/cpu.max": "max", cg + "/a/cpu.max": "max"}, "throttled unavailable"},
		{above(20, 18), "throttled unavailable"},
		{map[string]string{cg + "/cpu.max": "100000 100000\n"}, "throttled pending"}, // not since there last was a quota
		{above(30, 18), "throttled 0 of group"},
		{map[string]string{cg + "/cpu.max": "100000 18446744073709551615\n"}, "throttled pending"}, // a long one
		{map[string]string{cg + "/cpu.max": "max"}, "throttled unavailable"},
		{map[string]string{cg + "/a/cpu.max": "50000 100000\n", cg + "/a/cpu.stat": "usage_usec 0\n"}, "throttled failed"},
		{map[string]string{cg + "/a/cpu.stat": "usage_usec 0\nnr_periods 1\n"}, "throttled failed"},
	} {
		k.write(step.files)
		if got := show(read(t, s1, s*patterns.Instant(1+2*i)), Throttled); got != step.want {
			t.Errorf("step %d: %s, want %s", i, got, step.want)
		}
	}
}

func TestPressure(t *testing.T) {
	psi := func(some, full int) string {
		return fmt.Sprintf("some avg10=0.00 avg60=0.00 avg300=0.00 total=%d\nfull avg10=0.00 avg60=0.00 avg300=0.00 total=%d\n", some, full)
	}
	const all = CPUPressure | MemoryPressure | IOPressure | MemoryStall | IOStall
	k := newKernel(self("0::/a\n", unified), map[string]string{
		cg + "/a/cpu.pressure": "some avg10=0.00 avg60=0.00 avg300=0.00 total=0\n", cg + "/a/memory.pressure": psi(5, 5),
		"proc/pressure/cpu": psi(0, 0), "proc/pressure/io": psi(0, 0),
	})
	s1 := sampler(Options{Signals: all}, k, newBox())
	const pending = "cpu pressure pending, memory pressure pending, io pressure pending, memory stall pending, io stall pending"
	if got := show(read(t, s1, s), all); got != pending {
		t.Errorf("%s, want %s", got, pending)
	}
	k.write(map[string]string{
		cg + "/a/cpu.pressure": "some avg10=0.00 avg60=0.00 avg300=0.00 total=250000\n", cg + "/a/memory.pressure": psi(500005, 5),
		"proc/pressure/cpu": psi(900000, 0), "proc/pressure/io": psi(1100000, 100000),
	})
	const want = "cpu pressure 0.25 of group, memory pressure 0.5 of group, io pressure 1.1 of host, memory stall 0 of group, io stall 0.1 of host"
	if got := show(read(t, s1, 2*s), all); got != want {
		t.Errorf("%s, want %s", got, want)
	}
	k.write(map[string]string{cg + "/a/memory.pressure": "some avg10=0.00 avg60=0.00 avg300=0.00 total=500005\n", "proc/pressure/io": psi(0, 18446744073709552)})
	const wanted = "cpu pressure 0 of group, memory pressure 0 of group, io pressure failed, memory stall unavailable, io stall failed"
	if got := show(read(t, s1, 3*s), all); got != wanted {
		t.Errorf("%s, want %s", got, wanted)
	}

	off := newKernel(map[string]string{"proc/pressure/cpu": ""})
	off.refuse["proc/pressure/cpu"] = syscall.EOPNOTSUPP // psi=0
	off.refuse["proc/pressure/io"] = fs.ErrPermission
	s2 := sampler(Options{Signals: all}, off, newBox())
	const none = "cpu pressure unavailable, memory pressure unavailable, io pressure failed, memory stall unavailable, io stall failed"
	if got := show(read(t, s2, s), all); got != none {
		t.Errorf("%s, want %s", got, none)
	}
}
