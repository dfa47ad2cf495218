//go:build race

package backpressure

// raceEnabled says that the race detector allocates here.
const raceEnabled = true
