package backpressure

import "github.com/bulwark-go/bulwark/actors"

var (
	_ actors.Machine[Config, Snapshot] = (*Machine)(nil)
	_ actors.Lessor                    = (*Machine)(nil)
	_ actors.Queuer                    = (*Machine)(nil)
)
