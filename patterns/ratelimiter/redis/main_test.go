package redislimiter_test

import (
	"os"
	"testing"

	"go.uber.org/goleak"

	"github.com/bulwark-go/bulwark/internal/redistest"
)

var servers redistest.Servers

func TestMain(m *testing.M) {
	if isInstance() {
		os.Exit(beInstance())
	}
	// A client that was closed while it could not connect sleeps for up to a second before it notices.
	servers.Main(m, goleak.IgnoreAnyFunction("github.com/redis/go-redis/v9/internal/pool.(*ConnPool).tryDial"))
}
