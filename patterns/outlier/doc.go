// Package outlier spreads calls over several members that all answer the same, such as the
// hosts of a service, and keeps those out for a while that fail more than the others.
//
// It is for callers that know the members themselves. Where a proxy spreads the calls, that
// is who has to do it. A member that answers nobody is found by its failures in a row; one that
// answers badly now and then by a share of successes that is far below that of the rest.
//
//	           failures in a row, or fewer successes than the rest
//	┌────────┐ ──────────────────────────────────────────────────▶ ┌─────────┐
//	│ in use │                                                     │ ejected │
//	└────────┘ ◀────────────────────────────────────────────────── └─────────┘
//	           its time is up: EjectFor, longer each time
//
// Never more than MaxEjected of them are ejected, and never the last one: when all fail, that
// is the business of a circuit breaker.
//
// Machine, in machine.go, is all that the actor knows, with no goroutine, clock or actor in it.
// choose.go is how a caller chooses: by the list that the actor has published, without asking
// it. What becomes of a call is one message, for which nobody waits.
//
// # What a restart keeps
//
//	                              sound   repaired
//	Config, members               kept    kept
//	who is ejected, until when    kept    forgotten: all are in use
//	failures in a row, and        kept    forgotten
//	those of this Interval
//	totals                        kept    kept
//	announcements due             kept    kept
//
// Calls go on while the actor is away, by the list that it gave last; who is ejected comes
// back in time all the same. After Stop they are refused with actors.ErrStopped; if the actor
// has failed for good, Config.OnFailure says.
package outlier
