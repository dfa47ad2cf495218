//go:build !linux

package sampler

// processTime is for a process bound to some of the CPUs, which only a Linux says.
func processTime() (uint64, error) { return 0, ErrUnavailable }
