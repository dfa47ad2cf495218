//go:build !race

package outlier

// raceEnabled says that the race detector allocates here.
const raceEnabled = false
