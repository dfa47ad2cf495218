package mailbox

import (
	"os"
	"runtime"
	"sync"
	"testing"
)

// soak returns long in a soak run, and otherwise short.
func soak(short, long int) int {
	if os.Getenv("BULWARK_SOAK") != "" {
		return long
	}
	return short
}

// withProcs sets GOMAXPROCS until t ends.
func withProcs(t *testing.T, procs int) {
	before := runtime.GOMAXPROCS(procs)
	t.Cleanup(func() { runtime.GOMAXPROCS(before) })
}

func exitGoroutine() { runtime.Goexit() }

// counted is a dispatcher whose goroutines can be waited for.
type counted struct{ sync.WaitGroup }

func (c *counted) Schedule(fn func()) { c.Go(fn) }
func (c *counted) Throughput() int    { return 1 }
