package redisserver

import (
	"bufio"
	"fmt"
	"io"
	"os/exec"
	"strings"
	"time"
)

// patience is how long anything here may take to happen.
const patience = 20 * time.Second

// keptLines of what a process said go into the error if it ends too early.
const keptLines = 12

// process is a redis-server that runs, or did.
type process struct {
	cmd   *exec.Cmd
	ready chan struct{} // closed once it said so
	ended chan struct{} // closed at its end; then said may be read
	said  []string
}

// launch starts it. It is ready once it says a line with that word.
func launch(path string, args []string, readyWord string) (*process, error) {
	p := &process{cmd: exec.Command(path, args...), ready: make(chan struct{}), ended: make(chan struct{})}
	ownGroup(p.cmd)
	out, err := p.cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	p.cmd.Stderr = p.cmd.Stdout
	if err := p.cmd.Start(); err != nil {
		return nil, err
	}
	go p.follow(out, readyWord)
	return p, nil
}

func (p *process) follow(out io.Reader, readyWord string) {
	defer close(p.ended)
	ready := false
	for lines := bufio.NewScanner(out); lines.Scan(); {
		if p.said = append(p.said, lines.Text()); len(p.said) > keptLines {
			p.said = p.said[1:]
		}
		if !ready && strings.Contains(lines.Text(), readyWord) {
			ready = true
			close(p.ready)
		}
	}
	_ = p.cmd.Wait() // its exit code says less than its last words
}

// await waits until it is ready.
func (p *process) await() error {
	timer := time.NewTimer(patience)
	defer timer.Stop()
	select {
	case <-p.ready:
		return nil
	case <-p.ended:
		return fmt.Errorf("redis-server ended: %v; its last words:\n%s", p.cmd.ProcessState, strings.Join(p.said, "\n"))
	case <-timer.C:
		p.kill()
		return fmt.Errorf("redis-server was not ready after %v; its last words:\n%s", patience, strings.Join(p.said, "\n"))
	}
}

// kill ends it at once, and returns when it has ended.
func (p *process) kill() {
	select {
	case <-p.ended:
	default:
		_ = signal(p.cmd, sigKill) // it may have ended meanwhile
		<-p.ended
	}
}
