// Package budget decides whether one more restart fits into what the children of a
// supervisor may have together: a burst at once, and one more each so often. It is
// pure: no clock, no lock, no goroutine; time is an argument.
//
// Unlike an intensity (package intensity), which gives up when it is exceeded, a budget
// makes children wait for their turn. In any time w there are at most Burst + w/Every
// restarts, and everybody is restarted in the end.
//
// The rule is a token bucket, which starts full.
package budget
