package fallback

import (
	"github.com/bulwark-go/bulwark/actors"
	"github.com/bulwark-go/bulwark/patterns"
)

var (
	_ actors.Machine[Config[int], Snapshot] = counting[int]{}
	_ actors.Consultant                     = counting[int]{}
	_ actors.Planner                        = counting[int]{}
	_ patterns.Policy                       = (*Fallback[int])(nil)
	_ patterns.Guard                        = (*Fallback[int])(nil)
)
