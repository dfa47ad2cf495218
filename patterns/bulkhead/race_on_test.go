//go:build race

package bulkhead

// raceEnabled says that the race detector allocates here.
const raceEnabled = true
