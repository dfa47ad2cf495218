// Package sampler reads how busy the machine is: how much of the CPU and memory that a
// process may use is used, how long goroutines wait, what garbage collection takes, and
// what the kernel says about tasks that wait.
//
//	s, err := sampler.New(sampler.Options{Signals: sampler.CPU | sampler.Memory})
//	// every 250 ms:
//	r := s.Read(now)
//	if cpu := r.Of(sampler.CPU); cpu.Err == nil { use(cpu.Value) }
//
// In a container, what it may use is what its control group may, under cgroup v1, v2 and
// both at once: the least of the quotas and limits of the group and of those above it as
// far as they can be seen, of the CPUs it is given, and of those that the process is
// bound to. If a group above has a quota that siblings have used up, that counts too.
// Without a limit it is the machine's, by gopsutil. See Scope to have it otherwise.
//
// A signal that cannot be read has an error that says why, and no value: least of all 0,
// at which a shedder would open the gates. Those that compare two readings have none
// after the first, nor after one that went back, as it does for a process that was moved.
// ErrPending, ErrUnavailable and ErrOff tell what is to be expected from what went wrong.
//
// Within limits a Read of all signals takes less than a tenth of a millisecond, most of it
// the kernel's, and makes no garbage: files stay open, and buffers are used again. Where
// the machine's CPU or memory is asked for it takes twice that, and gopsutil allocates
// some kilobytes. On machines with thousands of groups the kernel may take long over
// memory.stat, which only Memory needs. Limits are read every time, so that they may
// change while the process runs; the groups are looked for again when the process is in
// others, when a file is gone, and once a minute.
//
// A Sampler decides nothing, smooths nothing and starts nothing.
package sampler
