// Package adaptive finds by itself how many calls a dependency can run at once, and
// refuses the rest early, so that what is admitted is still worth its answer.
//
// Read limit.go first: a Limit is a pure function from samples to a limit. Knee is
// the default, AIMD, Vegas, Gradient and Gradient2 are the classics. machine.go puts
// one of them in charge of permits.
package adaptive
