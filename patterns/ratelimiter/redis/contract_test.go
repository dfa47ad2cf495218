package redislimiter

import (
	"github.com/bulwark-go/bulwark/actors"
	"github.com/bulwark-go/bulwark/patterns"
)

var (
	_ actors.Machine[Config, Snapshot] = (*Machine)(nil)
	_ actors.Lessor                    = (*Machine)(nil)
	_ actors.Queuer                    = (*Machine)(nil)
	_ actors.Spender                   = (*Machine)(nil)
	_ actors.Consultant                = (*Machine)(nil)
	_ actors.Referrer                  = (*Machine)(nil)

	_ patterns.Errand = (*batch)(nil)
)
