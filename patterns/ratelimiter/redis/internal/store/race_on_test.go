//go:build race

package store

// raceEnabled says that the race detector allocates here.
const raceEnabled = true
