//go:build !race

package redislimiter

// raceEnabled says that the race detector allocates here.
const raceEnabled = false
