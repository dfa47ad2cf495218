//go:build !race

package adaptive

// raceEnabled says that the race detector allocates here.
const raceEnabled = false
