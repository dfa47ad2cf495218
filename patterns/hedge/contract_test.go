package hedge

import (
	"github.com/bulwark-go/bulwark/actors"
	"github.com/bulwark-go/bulwark/patterns"
)

var (
	_ actors.Machine[Config, Snapshot] = counting{}
	_ actors.Consultant                = counting{}
	_ actors.Planner                   = counting{}
	_ patterns.Policy                  = (*Hedge)(nil)
	_ patterns.Guard                   = (*Hedge)(nil)
)
