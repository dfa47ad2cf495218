package sampler

import (
	"fmt"
	"io/fs"

	"github.com/bulwark-go/bulwark/patterns/internal/faults"
)

// Scope is whose CPU and memory count.
type Scope uint8

const (
	// Auto is the control group's where it has a limit, and otherwise the machine's.
	Auto Scope = iota

	// Group is the control group's always: without a quota, of all the CPUs it may run
	// on, and without a limit, of the machine's memory. Neighbours do not count then,
	// for better or worse.
	Group

	// Host is the machine's always.
	Host
)

// Valid reports whether s is one of the three.
func (s Scope) Valid() bool { return s <= Host }

func (s Scope) String() string {
	switch s {
	case Auto:
		return "auto"
	case Group:
		return "group"
	case Host:
		return "host"
	}
	return fmt.Sprintf("scope(%d)", uint8(s))
}

// Options say what a Sampler reads. The zero Options are valid.
type Options struct {
	// Signals are those that are read. What is off costs nothing. Default All.
	Signals Signal

	// Scope is whose CPU and memory count. Default Auto.
	Scope Scope

	// Root is where proc and sys/fs/cgroup are looked for. Files are kept open, and
	// read by ReadAt where they have it, as those of os.DirFS do. Default the machine's
	// own, if it is a Linux; elsewhere there are no control groups.
	Root fs.FS
}

func (o Options) withDefaults() Options {
	if o.Signals == 0 {
		o.Signals = All
	}
	return o
}

// Validate returns every fault of o as a *patterns.ConfigError, joined, or nil.
func (o Options) Validate() error {
	f := faults.Of("loadshedder/sampler")
	f.Check(o.Signals&^All == 0, "Signals", o.Signals, "must be signals of this package")
	f.Check(o.Scope.Valid(), "Scope", o.Scope, "must be Auto, Group or Host")
	return f.Err()
}
