package redislimiter_test

import (
	"os"
	"testing"

	"github.com/bulwark-go/bulwark/internal/redistest"
)

var servers redistest.Servers

func TestMain(m *testing.M) {
	if isInstance() {
		os.Exit(beInstance())
	}
	servers.Main(m)
}
