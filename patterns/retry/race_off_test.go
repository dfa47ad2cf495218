//go:build !race

package retry

// raceEnabled says that the race detector allocates here.
const raceEnabled = false
