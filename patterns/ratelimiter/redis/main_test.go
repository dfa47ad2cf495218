package redislimiter_test

import (
	"testing"

	"github.com/bulwark-go/bulwark/internal/redistest"
)

var servers redistest.Servers

func TestMain(m *testing.M) { servers.Main(m) }
