package redisserver

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
)

// Server is one redis-server. Its methods may be called from any goroutine.
type Server struct {
	path    string
	addr    string
	args    []string
	word    string // that it says when it is ready
	mu      sync.Mutex
	janitor *janitor // nil once stopped
	process *process
}

// attempts is how often another port is tried when one was taken meanwhile.
const attempts = 5

const readyWord = "Ready to accept connections"

// Start starts a server with nothing in it. args are added to its command line, such as
// "--maxmemory", "2mb". Who starts it stops it; it also ends with this process.
func Start(args ...string) (*Server, error) {
	return startPlain(func(int) []string { return args })
}

// StartTLS is Start of a server that also takes connections at TLSAddr, with the certificate
// and key of those PEM files. It wants none of its clients.
func StartTLS(cert, key string, args ...string) (*Server, error) {
	return startPlain(func(port int) []string {
		return append([]string{
			"--tls-port", strconv.Itoa(port + busOffset), "--tls-cert-file", cert, "--tls-key-file", key,
			"--tls-ca-cert-file", cert, "--tls-auth-clients", "no",
		}, args...)
	})
}

func startPlain(more func(port int) []string) (*Server, error) {
	path, err := Find()
	if err != nil {
		return nil, err
	}
	major, err := version(path)
	if err != nil {
		return nil, err
	}
	plain := []string{"--bind", "127.0.0.1", "--save", "", "--appendonly", "no", "--repl-diskless-sync", "yes", "--repl-diskless-sync-delay", "0"}
	if major >= 7 {
		plain = append(plain, "--enable-debug-command", "local")
	}
	return start(path, readyWord, func(port int, dir string) ([]string, error) {
		return slices.Concat(plain, []string{"--port", strconv.Itoa(port), "--dir", dir}, more(port)), nil
	})
}

// start starts redis-server with what line returns, on a port that is free.
func start(path, word string, line func(port int, dir string) ([]string, error)) (*Server, error) {
	var failed error
	for range attempts {
		port, err := freePort()
		if err != nil {
			return nil, err
		}
		j, err := newJanitor()
		if err != nil {
			return nil, err
		}
		args, err := line(port, j.dir)
		if err != nil {
			return nil, errors.Join(err, j.finish())
		}
		s := &Server{path: path, addr: address(port), args: args, word: word, janitor: j}
		if failed = s.launch(); failed == nil {
			return s, nil
		}
		failed = errors.Join(failed, j.finish())
		if free(port) {
			break // that was not what ailed it
		}
	}
	return nil, failed
}

// launch is called with mu held, or before anybody else has s.
func (s *Server) launch() error {
	p, err := launch(s.path, s.args, s.word)
	if err != nil {
		return err
	}
	if err := s.janitor.watch(p.cmd.Process.Pid); err != nil {
		p.kill()
		return err
	}
	if err := p.await(); err != nil {
		return errors.Join(err, s.janitor.watch(0))
	}
	s.process = p
	return nil
}

// Addr returns its host and port. They stay the same after a Restart.
func (s *Server) Addr() string { return s.addr }

// TLSAddr returns the host and port at which one of StartTLS speaks TLS.
func (s *Server) TLSAddr() string {
	host, port, _ := strings.Cut(s.addr, ":")
	n, _ := strconv.Atoi(port)
	return fmt.Sprintf("%s:%d", host, n+busOffset)
}

// URL returns where it is, as redis.ParseURL reads it.
func (s *Server) URL() string { return "redis://" + s.addr }

// ErrStopped is returned for what can only be done to a server that runs.
var ErrStopped = errors.New("the Redis server does not run")

// Kill ends it at once, as a crash does: connections are reset, its data is gone. Restart
// brings it back.
func (s *Server) Kill() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.process == nil {
		return ErrStopped
	}
	s.process.kill()
	s.process = nil
	return s.janitor.watch(0)
}

// Restart kills it if it runs, and starts it on the same port, with nothing in it and
// with args added to its command line.
func (s *Server) Restart(args ...string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.janitor == nil {
		return ErrStopped
	}
	if s.process != nil {
		s.process.kill()
		s.process = nil
	}
	if len(args) > 0 {
		s.args = append(slices.Clone(s.args), args...)
	}
	if err := s.launch(); err != nil {
		return fmt.Errorf("restart on %s: %w", s.addr, err)
	}
	return nil
}

// Pause has it hang: connections stay open and are even made, and nothing is answered.
func (s *Server) Pause() error { return s.signal(sigStop) }

// Resume lets it go on after a Pause. It answers what it was asked meanwhile.
func (s *Server) Resume() error { return s.signal(sigCont) }

func (s *Server) signal(sig syscall.Signal) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.process == nil {
		return ErrStopped
	}
	return signal(s.process.cmd, sig)
}

// Stop ends it for good and removes what it left. Stopping it twice is once.
func (s *Server) Stop() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.janitor == nil {
		return nil
	}
	var told error
	if s.process != nil {
		s.process.kill()
		s.process = nil
		told = s.janitor.watch(0)
	}
	finished := s.janitor.finish()
	s.janitor = nil
	return errors.Join(told, finished)
}
