package outlier

import (
	"github.com/bulwark-go/bulwark/actors"
	"github.com/bulwark-go/bulwark/patterns"
)

var (
	_ actors.Machine[Config, Snapshot] = counting{}
	_ actors.Consultant                = counting{}
	_ actors.Planner                   = counting{}
	_ patterns.Policy                  = (*Ejector)(nil)
	_ patterns.Guard                   = (*Ejector)(nil)
	_ loads                            = (*actors.Loads)(nil)
)
