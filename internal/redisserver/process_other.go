//go:build !unix

package redisserver

import (
	"errors"
	"os/exec"
	"syscall"
)

const (
	sigKill = syscall.SIGKILL
	sigStop = syscall.Signal(-1)
	sigCont = syscall.Signal(-2)
)

func ownGroup(*exec.Cmd) {}

func signal(cmd *exec.Cmd, s syscall.Signal) error {
	if s != sigKill {
		return errors.ErrUnsupported
	}
	return cmd.Process.Kill()
}
