package main

import (
	"cmp"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"time"

	"github.com/klauspost/cpuid/v2"
)

// machine is where and of what a run was.
type machine struct {
	CPU    string
	Cores  int
	Procs  int
	System string
	Go     string
	Commit string
	Date   string
	Load   string // when the run began; "" where that cannot be told
	Work   work
}

func thisMachine(w work) machine {
	return machine{
		CPU:    cmp.Or(strings.TrimSpace(cpuid.CPU.BrandName), "unknown processor"),
		Cores:  runtime.NumCPU(),
		Procs:  runtime.GOMAXPROCS(0),
		System: runtime.GOOS + "/" + runtime.GOARCH,
		Go:     runtime.Version(),
		Commit: commit(),
		Date:   time.Now().UTC().Format("2006-01-02 15:04 UTC"),
		Load:   load(),
		Work:   w,
	}
}

func (m machine) String() string {
	s := fmt.Sprintf("%s, %d logical CPUs, GOMAXPROCS %d, %s, %s; commit %s, %s",
		m.CPU, m.Cores, m.Procs, m.System, m.Go, m.Commit, m.Date)
	if m.Load != "" {
		s += "; load average before the run " + m.Load
	}
	return s
}

// commit names what was measured. The results themselves may differ from what is
// committed.
func commit() string {
	id, err := exec.Command("git", "rev-parse", "--short=12", "HEAD").Output()
	if err != nil {
		return "unknown"
	}
	changes, err := exec.Command("git", "status", "--porcelain", "--", ":/", ":(exclude,top)bench/results").Output()
	if err != nil || len(changes) > 0 {
		return strings.TrimSpace(string(id)) + " with changes"
	}
	return strings.TrimSpace(string(id))
}

// load returns the load average of the last minute, where the system tells.
func load() string {
	b, err := os.ReadFile("/proc/loadavg")
	if err != nil {
		return ""
	}
	one, _, _ := strings.Cut(string(b), " ")
	return one
}
