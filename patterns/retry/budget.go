package retry

import (
	"context"
	"errors"

	"github.com/bulwark-go/bulwark/actors"
	"github.com/bulwark-go/bulwark/patterns"
)

// Budget is a caller's handle on a budget actor, which bounds the retries and hedges of all
// who share it to a share of their calls, so that they cannot amplify an outage. Give it to
// any number of retries of the same backend, as Config.Budget. It is safe for concurrent
// use. Snapshot, Reconfigure, Inspect, Operate, Stop and PID are those of actors.Typed and
// actors.Handle.
type Budget struct {
	*actors.Typed[BudgetConfig, BudgetSnapshot]
	tallies *actors.Tallies
}

// SpawnBudget starts a budget named name, which no other guard may have. The error names
// every bad field of cfg.
func SpawnBudget(guards *actors.Registry, name string, cfg BudgetConfig, opts ...actors.Option) (*Budget, error) {
	spec, wrap := specifyBudget(cfg)
	return actors.Spawn(guards, name, spec, wrap, opts...)
}

// GetOrSpawnBudget returns the budget of that name, or starts it. If there is one with
// another BudgetConfig, or a guard of a pattern, the error is actors.ErrConflict.
func GetOrSpawnBudget(guards *actors.Registry, name string, cfg BudgetConfig, opts ...actors.Option) (*Budget, error) {
	spec, wrap := specifyBudget(cfg)
	return actors.GetOrSpawn(guards, name, spec, wrap, opts...)
}

// GetBudget returns the budget of that name, if there is one.
func GetBudget(guards *actors.Registry, name string) (*Budget, bool) {
	return actors.Find[*Budget](guards, name)
}

// Count counts a first attempt, which is never refused. A retry does so by itself.
func (b *Budget) Count() { b.tallies.Add(0) }

// Allow reports whether there may be one more attempt besides the first ones, and takes it
// from the budget if so. It waits while the budget's actor restarts, and is false once ctx
// has ended or the budget was stopped. If the actor has failed for good,
// BudgetConfig.OnFailure says. A retry asks by itself.
func (b *Budget) Allow(ctx context.Context) bool {
	answer, err := b.Consult(ctx, allow{})
	if err != nil {
		return errors.Is(err, actors.ErrUnavailable) && b.Plan() == patterns.FailOpen
	}
	return answer == true
}

// Acquire returns ErrBudget.
func (*Budget) Acquire(context.Context) (patterns.Permit, error) {
	return patterns.Permit{}, ErrBudget
}

// AcquireFor returns ErrBudget.
func (*Budget) AcquireFor(context.Context, patterns.Request) (patterns.Permit, error) {
	return patterns.Permit{}, ErrBudget
}

// TryAcquire returns ErrBudget.
func (*Budget) TryAcquire() (patterns.Permit, error) { return patterns.Permit{}, ErrBudget }

// TryAcquireFor returns ErrBudget.
func (*Budget) TryAcquireFor(patterns.Request) (patterns.Permit, error) {
	return patterns.Permit{}, ErrBudget
}

// Reset forgets what was earned and spent. The numbers stay.
func (b *Budget) Reset(ctx context.Context) error {
	return b.Operate(ctx, patterns.Operation{Kind: patterns.Reset})
}

// listening is a BudgetMachine that hears what callers counted before it does anything.
type listening struct {
	*BudgetMachine
	tallies *actors.Tallies
}

func (l listening) hear(now patterns.Instant) {
	var all [1]uint64
	l.Counted(now, l.tallies.Totals(all[:])[0])
}

func (l listening) Consult(now patterns.Instant, question any) patterns.Consultation {
	l.hear(now)
	return l.BudgetMachine.Consult(now, question)
}

func (l listening) Tick(now patterns.Instant) (dirty bool) {
	l.hear(now)
	return l.BudgetMachine.Tick(now)
}

func (l listening) Operate(now patterns.Instant, op patterns.Operation) error {
	l.hear(now)
	return l.BudgetMachine.Operate(now, op)
}

func (l listening) Reconfigure(now patterns.Instant, c BudgetConfig) {
	l.hear(now)
	l.BudgetMachine.Reconfigure(now, c)
}

func (l listening) Snapshot(now patterns.Instant, counts patterns.Counts) BudgetSnapshot {
	l.hear(now)
	return l.BudgetMachine.Snapshot(now, counts)
}

func specifyBudget(cfg BudgetConfig) (actors.Spec[BudgetConfig, BudgetSnapshot], func(*actors.Typed[BudgetConfig, BudgetSnapshot]) *Budget) {
	cfg = cfg.withDefaults() // so that a BudgetConfig that spells its defaults out is the same
	tallies := actors.NewTallies(1)
	spec := actors.Spec[BudgetConfig, BudgetSnapshot]{
		Pattern: budgetPattern, Config: cfg, Validate: cfg.successor, OnFailure: cfg.OnFailure,
		New: func(o actors.Origin) actors.Machine[BudgetConfig, BudgetSnapshot] {
			m := NewBudgetMachine(BudgetParams{Name: o.Name, Origin: o.Time, Now: o.Now, Config: cfg})
			return listening{m, tallies}
		},
	}
	return spec, func(t *actors.Typed[BudgetConfig, BudgetSnapshot]) *Budget { return &Budget{t, tallies} }
}
