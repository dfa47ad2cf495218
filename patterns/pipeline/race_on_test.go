//go:build race

package pipeline

// raceEnabled says that the race detector allocates here.
const raceEnabled = true
