//go:build race

package hedge

// raceEnabled says that the race detector allocates here.
const raceEnabled = true
