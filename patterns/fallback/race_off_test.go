//go:build !race

package fallback

// raceEnabled says that the race detector allocates here.
const raceEnabled = false
