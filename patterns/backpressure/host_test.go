package backpressure

import (
	"time"

	"github.com/bulwark-go/bulwark/patterns/internal/machinetest"
)

// origin is the wall time of Instant 0 in all tests.
var origin = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)

func newTestMachine(c Config) *Machine {
	return NewMachine(Params{Name: "v", Origin: origin, Config: c})
}

type host = machinetest.Host[*Machine]

func newHost(t machinetest.T, c Config) *host { return machinetest.New(t, newTestMachine(c), 0) }
