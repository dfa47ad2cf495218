package reasons

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"

	"github.com/bulwark-go/bulwark/actors"
	"github.com/bulwark-go/bulwark/actors/actorstest"
	"github.com/bulwark-go/bulwark/patterns"
	"github.com/bulwark-go/bulwark/patterns/fallback"
	"github.com/bulwark-go/bulwark/patterns/hedge"
	"github.com/bulwark-go/bulwark/patterns/outlier"
	"github.com/bulwark-go/bulwark/patterns/pipeline"
	"github.com/bulwark-go/bulwark/patterns/retry"
	"github.com/bulwark-go/bulwark/patterns/timeout"
)

// A policy that was stopped refuses as every guard does, and says so once.
func TestAPolicyThatWasStoppedRefuses(t *testing.T) {
	type policy interface {
		patterns.Guard
		Stop(ctx context.Context) error
	}
	for _, tt := range []struct {
		name  string
		spawn func(*actors.Registry, actors.Option) (policy, error)
	}{
		{"retry", func(r *actors.Registry, o actors.Option) (policy, error) {
			return retry.Spawn(r, "p", retry.Config{}, o)
		}},
		{"timeout", func(r *actors.Registry, o actors.Option) (policy, error) {
			return timeout.Spawn(r, "p", timeout.Config{PerAttempt: 9 * ms}, o)
		}},
		{"fallback", func(r *actors.Registry, o actors.Option) (policy, error) {
			return fallback.Spawn(r, "p", fallback.Config[int]{LastGood: 9 * ms}, o)
		}},
		{"hedge", func(r *actors.Registry, o actors.Option) (policy, error) {
			return hedge.Spawn(r, "p", hedge.Config{Delay: 9 * ms}, o)
		}},
		{"outlier", func(r *actors.Registry, o actors.Option) (policy, error) {
			return outlier.Spawn(r, "p", outlier.Config{Members: outlier.List("a")}, o)
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var seen []error
				p, err := tt.spawn(actorstest.NewRegistry(t), actors.WithRejection(patterns.Rejection{Observe: func(err error) { seen = append(seen, err) }}))
				if err != nil {
					t.Fatal(err)
				}
				row, err := pipeline.New("", p)
				if err != nil {
					t.Fatal(err)
				}
				if err := p.Stop(t.Context()); err != nil {
					t.Fatal(err)
				}
				for _, g := range []patterns.Guard{p, row} {
					seen = nil
					_, err := patterns.Do(t.Context(), g, func(context.Context) (int, error) {
						t.Error("the function was called")
						return 0, nil
					})
					if !errors.Is(err, patterns.ErrRejected) || !errors.Is(err, actors.ErrStopped) {
						t.Errorf("%T: %v", g, err)
					}
					if len(seen) != 1 || !errors.Is(seen[0], actors.ErrStopped) {
						t.Errorf("%T: observed %v", g, seen)
					}
				}
			})
		})
	}
}
