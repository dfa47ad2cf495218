// Package supervisor restarts the children of your own actors, in Erlang/OTP's
// terms: as often as an intensity allows, and then it hands the failure up.
//
//	supervision, err := supervisor.OneForOne(supervisor.Config{
//		Intensity: intensity.Config{Restarts: 3, Period: time.Minute},
//	})
//	if err != nil {
//		return err
//	}
//	props := actor.PropsFromProducer(newParent, supervision)
//
// The actors spawned from props supervise their children so. The pure rules are in
// packages intensity, which explains how to choose the two numbers (the burst that
// is tolerated, and the sustained rate), and backoff.
//
// # Who shares a history
//
// All children of one supervising actor share one history, as in OTP: the intensity
// says how much trouble this actor may have below it, whichever child it comes from.
// Each actor spawned from the same props has a history of its own, which lives as
// long as the actor and survives its restarts. It begins anew when a failure is
// handed up, because the children then start anew.
//
// # What happens to a child that fails
//
//	Decide says   intensity   the child is    and then
//	Restart       allows      restarted       an *actor.SupervisorEvent
//	Restart       refuses     stopped         the failure is handed up; GaveUp
//	Resume        not asked   resumed         an *actor.SupervisorEvent
//	Stop          not asked   stopped         an *actor.SupervisorEvent
//	Escalate      not asked   stopped         the failure is handed up; GaveUp
//
// An OTP child that is permanent or transient is one for which Decide says Restart
// (in proto.actor only a panic is a failure), a temporary one is one for which it
// says Stop.
//
// Handing up means that the supervising actor itself fails with the reason, a
// [*TooManyRestartsError] if the intensity refused, and its own parent decides. The
// child is stopped first, because proto.actor would leave it suspended for ever if
// that parent decided to resume.
//
// # Where there is nobody above
//
// An actor spawned from the root has no parent. There a failure is not handed up: the
// child is stopped, the supervising actor goes on with the others, and GaveUp is
// logged at Error. The same goes if handing up fails: a guardian (actor.WithGuardian)
// that escalates panics, which would end the process.
//
// A strategy for guardians cannot be made here. Guardians are not actors: they run
// on the goroutine of whichever child fails, several at a time, with no place for a
// history. Spawn an ordinary actor to supervise instead.
//
// # Foreign code
//
// The Decide function, the logger and the subscribers of the EventStream run in the
// supervising actor's turn, after the decision was carried out except for Decide. They
// should not block. If one panics, that is logged, as far as the logger is still of
// use, and supervision goes on; where Decide panicked or returned nonsense, the child
// is restarted, if the intensity allows.
package supervisor
