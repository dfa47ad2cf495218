// Package process runs an example as what it is, a program: it is built with the go
// command and executed, and a test looks at what came out of it.
package process

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime/debug"
	"slices"
	"strings"
	"testing"
	"time"
)

// Result is what is left of a program that ended.
type Result struct {
	Stdout, Stderr string
	Exit           int // -1 if a signal ended it
	Took           time.Duration
}

// Build builds the example in the test's own folder, with the race detector if the
// test has it, and returns the path of the program.
func Build(t testing.TB) (program string) {
	t.Helper()
	program = filepath.Join(t.TempDir(), "example")
	args := []string{"build", "-o", program}
	if raced() {
		args = append(args, "-race")
	}
	if out, err := exec.CommandContext(t.Context(), "go", append(args, ".")...).CombinedOutput(); err != nil {
		t.Fatalf("go build: %v\n%s", err, out)
	}
	return program
}

// Run runs program to its end, and kills it after limit.
func Run(t testing.TB, limit time.Duration, program string, args ...string) Result {
	t.Helper()
	return run(t, limit, nil, program, args)
}

// Interrupt is Run of a program that is sent SIGINT once it has written a line.
func Interrupt(t testing.TB, limit time.Duration, program string, args ...string) Result {
	t.Helper()
	return run(t, limit, os.Interrupt, program, args)
}

func run(t testing.TB, limit time.Duration, atFirstLine os.Signal, program string, args []string) Result {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), limit)
	defer cancel()
	cmd := exec.CommandContext(ctx, program, args...)
	var stdout, stderr bytes.Buffer
	cmd.Stderr = &stderr
	pipe, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	began := time.Now()
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewReader(io.TeeReader(pipe, &stdout))
	if _, err := lines.ReadString('\n'); err == nil && atFirstLine != nil {
		if err := cmd.Process.Signal(atFirstLine); err != nil {
			t.Errorf("signal: %v", err)
		}
	}
	if _, err := io.Copy(io.Discard, lines); err != nil {
		t.Errorf("read its output: %v", err)
	}
	err = cmd.Wait()
	if _, exited := errors.AsType[*exec.ExitError](err); err != nil && !exited {
		t.Fatal(err)
	}
	r := Result{stdout.String(), stderr.String(), cmd.ProcessState.ExitCode(), time.Since(began)}
	if strings.Contains(r.Stderr, "DATA RACE") {
		t.Errorf("it has a data race:\n%s", r.Stderr)
	}
	if ctx.Err() != nil {
		t.Errorf("it did not end within %v:\n%s%s", limit, r.Stdout, r.Stderr)
	}
	return r
}

func raced() bool {
	info, ok := debug.ReadBuildInfo()
	return ok && slices.Contains(info.Settings, debug.BuildSetting{Key: "-race", Value: "true"})
}
