// Package adaptive finds by itself how many calls a dependency can run at once, and
// refuses the rest early, so that what is admitted is still worth its answer.
//
// Read limit.go first: a Limit is a pure function from samples to a limit. knee.go is
// the default, and explains itself; AIMD, Vegas, Gradient and Gradient2 are the
// classics, bit for bit those of Netflix concurrency-limits where their options say so.
// machine.go puts one of them in charge of permits, cutoff.go says who goes first,
// tenants.go who has had enough, queue.go who may wait. limiter.go is what callers hold.
// testdata/scores.txt is what each of them reaches in the simulation of
// internal/simulation.
//
// # Who is granted
//
// A call is granted while what is in flight, itself included, is no more than
//
//	limit − reserves of higher priorities − (tenant above its share: fair reserve)
//
// and always if nothing is in flight. A refusal makes the reserve of its priority one
// place larger, if there is anybody lower to hold back; each grant makes it a little
// smaller. So a cut-off moves with the pressure that the higher priorities feel: they
// lose one call in 2,000, and the lowest pay. The fair reserve does the same between
// tenants. Once all who came in the last half second would have found room, nothing is
// kept for anybody; and what a priority could not have used then becomes less.
//
// # Who waits
//
// With Config.MaxWaiting, calls of priorities that are not cut off wait instead, the
// highest first, in each as Config.Queue says. queue.go turns away whose turn, or answer,
// would come after its deadline, and with Config.RefuseFrom a growing share of the
// newcomers, the lowest priorities first. A tenant that has its share lets others pass.
//
// # What a restart keeps
//
// The actor's restart keeps the Machine. If Machine.Check finds it sound, that is all.
// If not, Machine.Repair rebuilds it:
//
//	                            sound   repaired
//	limit                       kept    kept, within the bounds
//	permits in flight           kept    kept, counted anew
//	who waits                   kept    kept
//	forced state, its end       kept    kept
//	Config                      kept    kept
//	baseline, throughput        kept    lost: learned anew around the limit
//	reserves, tenants           kept    lost: they start empty
//	epoch                       kept    bumped: older permits teach nothing
package adaptive
