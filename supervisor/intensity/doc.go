// Package intensity decides whether a failed child may be restarted once more:
// at most so many restarts in a period, as in Erlang/OTP. It is pure: no clock, no
// lock, no goroutine; time is the argument of [Machine.Restart].
//
// # Burst and sustained rate
//
// The pair (Restarts, Period) says two things at once. Restarts is the burst that
// is tolerated: so many failures at the same moment are all answered with a
// restart. Restarts / Period is the rate that is tolerated for ever. Both 1 in 5 s
// and 60 in 300 s tolerate a restart every five seconds for ever; but the first
// gives up at the second failure in a row, and the second lets a child that cannot
// start at all burn through sixty starts before anybody hears of it.
//
// So choose the burst first: how many failures can one incident cause here? For one
// child that depends on nothing, 1. For n children that share a connection, n,
// because all fail together. Then choose the longest period after which the
// incident would still be the same one: the rate follows.
//
// Supervisors multiply. A child is restarted up to Restarts times for each time its
// supervisor is restarted, so two levels of 10 in 10 s start a child that never
// works 11 × 11 = 121 times before the top gives up. Deep trees want small numbers.
//
// The defaults, 10 in 10 s, suit one supervisor above many pattern actors, which is
// how a registry runs them: they start in microseconds, keep their state over a
// restart, and fail together. OTP's defaults are 1 in 5 s.
//
// # The rule, to the nanosecond
//
// A restart at t counts from t up to and including t + Period. A restart is refused
// if it would be number Restarts + 1 in that window. A refused restart counts too,
// and the refusal forgets nothing: a child that keeps failing is refused until the
// window has room again. OTP cuts its clock to whole seconds first, which widens
// the window by up to a second; [OTPResolution] does the same.
package intensity
