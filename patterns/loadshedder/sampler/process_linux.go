package sampler

import "syscall"

func processTime() (uint64, error) {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		return 0, err
	}
	return uint64(u.Utime.Nano() + u.Stime.Nano()), nil
}
