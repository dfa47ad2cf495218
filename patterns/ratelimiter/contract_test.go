package ratelimiter

import "github.com/bulwark-go/bulwark/actors"

var (
	_ actors.Machine[Config, Snapshot] = (*Machine)(nil)
	_ actors.Lessor                    = (*Machine)(nil)
	_ actors.Queuer                    = (*Machine)(nil)
	_ actors.Spender                   = (*Machine)(nil)
	_ actors.Unhurried                 = (*Machine)(nil)
	_ actors.Consultant                = (*Machine)(nil)
	_ actors.Follower                  = (*Machine)(nil)

	_ actors.Addressed = Peek{}
	_ actors.Addressed = Take{}
	_ actors.Addressed = TakeUpTo{}
	_ actors.Addressed = Reserve{}
	_ actors.Addressed = CancelReservation{}
	_ actors.Addressed = Override{}
	_ actors.Addressed = RemoveOverride{}
	_ actors.Addressed = (*inquiry)(nil)
)
