// Package actorstest is for testing code that uses guards: a quiet actor system, a
// recorder of events, and crashes on demand.
//
// Everything works outside of a testing/synctest bubble and inside of one. Inside,
// time is virtual, so that a minute of open circuit takes no time, and the bubble
// itself checks that nothing is left running:
//
//	synctest.Test(t, func(t *testing.T) {
//		guards := actorstest.NewRegistry(t)
//		payments, _ := circuitbreaker.Spawn(guards, "payments", circuitbreaker.Config{})
//		…
//		actorstest.Crash(t, payments, actorstest.At(actors.Report{}))
//		…
//		actorstest.WantEvents(t, guards, circuitbreaker.Opened, circuitbreaker.Probing, circuitbreaker.ClosedAgain)
//	})
//
// A system must be created in the bubble that it is used in.
package actorstest
