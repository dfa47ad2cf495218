package loadshedder

import (
	"time"

	"github.com/bulwark-go/bulwark/patterns"
	"github.com/bulwark-go/bulwark/patterns/internal/machinetest"
)

// origin is the wall time of Instant 0 in all tests.
var origin = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)

const (
	ms  = time.Millisecond
	sec = time.Second
)

func newTestMachine(c Config) *Machine {
	return NewMachine(Params{Name: "s", Origin: origin, Config: c})
}

type host = machinetest.Host[*Machine]

func newHost(t machinetest.T, c Config) *host { return machinetest.New(t, newTestMachine(c), 1) }

func with(c Config, change func(*Config)) Config {
	change(&c)
	return c
}

// read is an Observation of now.
func read(s Signal, v float64) Observation {
	return Observation{Readings: []Reading{{Signal: s, Value: v}}}
}

// blind measures nothing.
var blind = Config{CPU: Off, Memory: Off}

// Some policies. Each says only what its tests are about.
var (
	// door: four places, and nobody waits.
	door = with(blind, func(c *Config) { c.MaxInFlight, c.MaxQueue = 4, NoQueue })
	// hall: two places, and three may wait for as long as they like.
	hall = with(blind, func(c *Config) { c.MaxInFlight, c.MaxQueue, c.MaxWait, c.QueueDelay = 2, 3, Off, AnyDelay() })
	// eyes: a CPU that counts at once.
	eyes = Config{MaxInFlight: 100, MaxQueue: NoQueue, Memory: Off, Smoothing: Off, RaiseAfter: ms, ClearAfter: 100 * ms, CPU: 0.8, Floor: Off}
)

func observe(h *host, o Observation) Sampling {
	var s Sampling
	h.Operator(func(now patterns.Instant) { s, _ = h.M.Consult(now, o).Answer.(Sampling) })
	return s
}
