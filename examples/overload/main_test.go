package main

import (
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/bulwark-go/bulwark/examples/internal/process"
)

var page = regexp.MustCompile(`^A quiet day
  urgent: 20 served, 0 refused; half of them waited for at most (\d+) others, and \S+
  ordinary: 0 served, 0 refused at once
Ten times too much, proto.actor's unbounded mailbox
  urgent: 20 served, 0 refused; half of them waited for at most (\d+) others, and \S+
  ordinary: 1000 served, 0 refused at once
Ten times too much, a bounded mailbox with priorities
  urgent: 20 served, 0 refused; half of them waited for at most (\d+) others, and \S+
  ordinary: (\d+) served, (\d+) refused at once
  the mailbox has dropped (\d+), and has 0 left
$`)

// How long things take depends on the machine; how many others were served first, and
// what becomes of whom, does not.
func TestUrgentOrdersDoNotWaitBehindTheOthers(t *testing.T) {
	r := process.Run(t, time.Minute, process.Build(t))
	m := page.FindStringSubmatch(r.Stdout)
	if r.Exit != 0 || m == nil {
		t.Fatalf("exit status %d, output:\n%s\nlog:\n%s", r.Exit, r.Stdout, r.Stderr)
	}
	var n []int
	for _, text := range m[1:] {
		i, err := strconv.Atoi(text)
		if err != nil {
			t.Fatal(err)
		}
		n = append(n, i)
	}
	quiet, unbounded, bounded := n[0], n[1], n[2]
	if quiet > 1 || bounded > 3 || unbounded < 100 {
		t.Errorf("urgent orders waited for %d others on a quiet day, %d in the bounded mailbox and %d in the other", quiet, bounded, unbounded)
	}
	if served, refused, dropped := n[3], n[4], n[5]; served+refused != 1000 || dropped != refused || refused < 800 {
		t.Errorf("%d ordinary orders were served and %d refused; the mailbox says %d", served, refused, dropped)
	}
	if !strings.Contains(r.Stderr, "a mailbox dropped messages") {
		t.Errorf("the log does not say that messages were dropped:\n%s", r.Stderr)
	}
	t.Log("ran for", r.Took)
}
