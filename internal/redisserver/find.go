package redisserver

import (
	"bytes"
	"fmt"
	"os/exec"
	"strconv"
)

// program is the executable that everything here is.
const program = "redis-server"

// MissingError says that this machine has no Redis.
type MissingError struct {
	Err error // why not
}

// Error says what to install.
func (e *MissingError) Error() string {
	return fmt.Sprintf("there is no %s (%v): install it (Debian and Ubuntu: apt-get install redis-server; macOS: brew install redis; "+
		"`make redis` does where it can), or point BULWARK_REDIS_URL at a server that runs", program, e.Err)
}

// Unwrap returns why not.
func (e *MissingError) Unwrap() error { return e.Err }

// Find returns the path of redis-server, or a *MissingError.
func Find() (string, error) {
	path, err := exec.LookPath(program)
	if err != nil {
		return "", &MissingError{err}
	}
	return path, nil
}

// version returns the first number of what redis-server at path says it is.
func version(path string) (int, error) {
	out, err := exec.Command(path, "--version").Output() // Redis server v=7.0.15 sha=…
	if err != nil {
		return 0, fmt.Errorf("%s --version: %w", path, err)
	}
	_, after, found := bytes.Cut(out, []byte(" v="))
	major, _, dotted := bytes.Cut(after, []byte("."))
	v, err := strconv.Atoi(string(major))
	if !found || !dotted || err != nil {
		return 0, fmt.Errorf("%s --version: want v= and a number, got %q", path, out)
	}
	return v, nil
}
