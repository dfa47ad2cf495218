package redisserver

import (
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
)

// clean waits for the end of its input, then kills the process group that it was last
// told of and removes the directory. It outlives what interrupts its parent.
const clean = `trap '' INT TERM HUP
group=
while read -r line; do group=$line; done
[ -z "$group" ] || kill -s KILL -- "-$group" 2>/dev/null
rm -rf -- "$1"`

// janitor looks after a directory, and the process that works in it.
type janitor struct {
	dir    string
	orders io.WriteCloser
	shell  *exec.Cmd
}

func newJanitor() (*janitor, error) {
	dir, err := os.MkdirTemp("", "bulwark-redis-")
	if err != nil {
		return nil, err
	}
	shell := exec.Command("sh", "-c", clean, "janitor", dir)
	ownGroup(shell)
	shell.Stderr = os.Stderr // what it cannot do, and a way to see that it has ended
	orders, err := shell.StdinPipe()
	if err == nil {
		err = shell.Start()
	}
	if err != nil {
		return nil, errors.Join(err, os.RemoveAll(dir))
	}
	return &janitor{dir: dir, orders: orders, shell: shell}, nil
}

// watch names the process to kill at the end; 0 is none.
func (j *janitor) watch(pid int) error {
	name := ""
	if pid != 0 {
		name = fmt.Sprint(pid)
	}
	_, err := fmt.Fprintln(j.orders, name)
	return err
}

// finish has it do its work, and waits.
func (j *janitor) finish() error {
	return errors.Join(j.orders.Close(), j.shell.Wait())
}
