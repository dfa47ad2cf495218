package retry

import "github.com/bulwark-go/bulwark/actors"

var (
	_ actors.Machine[Config, Snapshot]             = counting{}
	_ actors.Consultant                            = counting{}
	_ actors.Planner                               = counting{}
	_ actors.Machine[BudgetConfig, BudgetSnapshot] = listening{}
	_ actors.Consultant                            = listening{}
	_ actors.Planner                               = listening{}
)
