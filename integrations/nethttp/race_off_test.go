//go:build !race

package nethttp_test

// raceEnabled says that the race detector allocates here.
const raceEnabled = false
