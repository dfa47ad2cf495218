package retry

import (
	"context"
	"errors"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/bulwark-go/bulwark/actors/actorstest"
	"github.com/bulwark-go/bulwark/patterns"
)

func TestEventsReadWellInALog(t *testing.T) {
	budget := spawnBudget(t, actorstest.NewRegistry(t), BudgetConfig{})
	from := Config{}.withDefaults()
	to := with(from, func(c *Config) { c.Budget, c.Overrides = budget, NewOverrides(For(Override{}, errBusy)) })
	for want, e := range map[string]patterns.Event{
		"DEBUG e.event=retried e.guard=bank e.attempt=2 e.wait=1s e.error=down":                           Retried{Name: "bank", Attempt: 2, Wait: sec, Err: "down"},
		"WARN e.event=exhausted e.guard=bank e.cause=budget e.calls=7 e.attempts=2 e.elapsed=1s e.error=": Exhausted{Name: "bank", Cause: CauseBudget, Calls: 7, Attempts: 2, Elapsed: sec},
		"DEBUG e.event=exhausted e.guard=bank e.cause=cancelled e.calls=1":                                Exhausted{Name: "bank", Cause: CauseCancelled, Calls: 1},
		"WARN e.event=budget-exhausted e.guard=b e.suppressed=3 e.total=9":                                BudgetExhausted{Name: "b", Suppressed: 3, Total: 9},
		"INFO e.event=config-changed e.guard=bank e.from.attempts=3 e.from.backoff=\"exponential 100ms":   ConfigChanged{Name: "bank", From: from, To: to},
		"INFO e.event=config-changed e.guard=b e.from=":                                                   BudgetChanged{Name: "b"},
	} {
		var b strings.Builder
		slog.New(slog.NewTextHandler(&b, &slog.HandlerOptions{Level: slog.LevelDebug})).Log(t.Context(), e.Level(), "", "e", e)
		text := strings.NewReplacer(` msg=""`, "", "level=", "").Replace(b.String())
		if _, text, _ = strings.Cut(text, " "); !strings.HasPrefix(strings.ReplaceAll(text, `error=""`, "error="), want) {
			t.Errorf("%s does not begin with %s", text, want)
		}
		if e.Source() != "bank" && e.Source() != "b" {
			t.Errorf("%T is from %q", e, e.Source())
		}
		if c, ok := e.(ConfigChanged); ok && !strings.Contains(text, "e.to.overrides=1 e.to.budget=budget") {
			t.Errorf("%+v reads %s", c, text)
		}
	}
}

// leaver is an error that has its caller leave when it is asked when to come back.
type leaver struct{ leave func() }

func (leaver) Error() string { return "leave" }

func (l leaver) RetryAfter() time.Duration {
	l.leave()
	return 0
}

func TestWhoLeavesWhileTheBudgetIsAskedHasLeft(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		guards := actorstest.NewRegistry(t)
		b := spawnBudget(t, guards, BudgetConfig{})
		r := spawnBank(t, guards, with(every(sec, 3), func(c *Config) { c.Budget = b }))
		ctx, cancel := context.WithCancel(t.Context())
		_, err := patterns.Do(ctx, r, endings(leaver{cancel}).run)
		exhaustedBy(t, err, CauseCancelled, 1, context.Canceled)
		if s := b.state(t); s.Suppressed != 0 || s.Extras != 0 {
			t.Errorf("%+v", s)
		}
	})
}

func TestErrorsSayHowOftenAndWhyNoMore(t *testing.T) {
	for want, e := range map[string]*ExhaustedError{
		`retry "bank": 3 attempts in 2s, and no more are allowed: down`:                                         {Name: "bank", Cause: CauseAttempts, Attempts: 3, Elapsed: 2 * sec, Last: errDown},
		`retry "bank": 1 attempt in 0s, and the caller has left (context canceled): down`:                       {Name: "bank", Cause: CauseCancelled, Attempts: 1, Last: errDown, By: context.Canceled},
		`retry "bank": 2 attempts in 1s, and the retry budget is spent: retry: the result was judged a failure`: {Name: "bank", Cause: CauseBudget, Attempts: 2, Elapsed: sec, Last: ErrBadResult},
	} {
		if e.Error() != want || !errors.Is(e, e.Last) {
			t.Errorf("%v, want %s", e, want)
		}
	}
}
