//go:build race

package timeout

// raceEnabled says that the race detector allocates here.
const raceEnabled = true
