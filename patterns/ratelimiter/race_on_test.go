//go:build race

package ratelimiter

// raceEnabled says that the race detector allocates here.
const raceEnabled = true
