// Package supervisor decides what becomes of your own actors when they panic. A
// [Strategy] is given to the actor that is their parent:
//
//	strategy, err := supervisor.OneForOne(supervisor.Config{
//		Intensity: supervisor.IntensityConfig{Restarts: 3, Period: time.Minute},
//	})
//	if err != nil {
//		return err
//	}
//	props := actor.PropsFromProducer(newParent, strategy.Supervise)
//
// [Start] spawns a whole tree that is declared as data ([Spec]), [Tree] prints who is
// under whom and how they are, and [Drain] stops an actor and all below it in good order.
//
// # Who shares a history
//
// All children of one supervising actor share one history, as in OTP: the intensity
// says how much trouble this actor may have below it, whichever child it comes from.
// Each actor that a strategy is given to has a history of its own, which survives the
// actor's restarts.
//
// # What happens to a child that fails
//
// What Decide says is done: [Resume], [Stop], [Escalate], or, as it is without Decide,
// [Restart]. How a restart comes about, the parts of [Config] say, in this order; each is
// off unless it is configured, but for the intensity, which holds when none of the
// others does:
//
//	part         a child that fails
//	Quarantine   too often is parked, until somebody calls Release
//	Correlated   with too many of its siblings: nobody is restarted but one, to try
//	Breaker      too often is left alone, and tried after a while
//	Intensity    too often is stopped, and the failure handed up
//	Backoff      is restarted after a delay, longer each time
//	Budget       waits until a restart is affordable
//
// Scope says who is restarted with it: nobody ([One]), all its siblings ([All]), or those
// spawned after it ([Rest]).
//
// While a child is not running it is suspended. A mailbox of package mailbox refuses what
// is sent to it then with an [*AwayError], unless the wait is short (HoldFor); one of
// proto.actor's own holds everything, without bound. It learns of a change a moment after
// the change was announced.
//
// Whoever sent the message that a child failed on is answered with a
// mailbox.Undelivered for mailbox.ErrPanicked.
//
// # Where there is nobody above
//
// Handing up means that the supervising actor itself fails with the reason, a
// [*TooManyRestartsError] if the intensity refused, and its own parent decides. The
// child is stopped first, because proto.actor would leave it suspended for ever if
// that parent decided to resume. An actor spawned from the root has no parent: there the
// child is stopped, the supervising actor goes on with the others, unless
// [Config].AtTop is StopSelf, and [GaveUp] is logged at Error. The same goes if handing
// up fails: a guardian (actor.WithGuardian) that escalates panics, which would end the
// process.
//
// A guardian may be given a strategy, but it is no actor, runs on the goroutine of
// whichever child fails, several at a time, and has no place for a history: it resumes
// if Decide says so and otherwise stops. Spawn an ordinary actor to supervise instead.
//
// # Foreign code
//
// Decide, Types, the logger and the subscribers of the EventStream run in the
// supervising actor's turn, the last two after everything was carried out. They must not
// block. If one panics, that is logged, as far as the logger is still of use, and
// supervision goes on; where Decide panicked or returned nonsense, the child is
// restarted, if the rules allow.
//
// The pure rules are in packages rules, intensity (which explains how to choose its two
// numbers), backoff and budget; docs/supervision.md has every option with its default.
package supervisor
