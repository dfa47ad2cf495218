package snippets

import (
	"context"
	"fmt"
	"io"
	"io/fs"
	"runtime"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/bulwark-go/bulwark/mailbox"
	"github.com/bulwark-go/bulwark/supervisor"
)

func breakerSupervision(newDesk actor.Producer) (*actor.Props, error) {
	// region: supervision-breaker
	strategy, err := supervisor.CircuitBreaking(supervisor.BreakerConfig{
		Intensity: 5, Period: 10 * time.Second, // more failures than that: stop restarting, refuse, wait
		OpenFor: time.Minute, // then restart it with one message and watch
	})
	if err != nil {
		return nil, err
	}
	desk := actor.PropsFromProducer(newDesk, strategy.Supervise) // supervises its children so
	// endregion
	return desk, nil
}

// region: supervision-embedded
type desk struct {
	*supervisor.Strategy // HandleFailure is its method
}

func (d *desk) Receive(c actor.Context) { /* … */ }

// endregion

func fullSupervision() (*supervisor.Strategy, error) {
	// region: supervision-config
	strategy, err := supervisor.RestForOne(supervisor.Config{
		Name:       "orders",
		Backoff:    supervisor.BackoffConfig{Base: 100 * time.Millisecond, Max: 10 * time.Second},
		Budget:     supervisor.BudgetConfig{Burst: 5, Every: time.Second},
		Quarantine: supervisor.QuarantineConfig{Failures: 20, Period: time.Hour},
	}, supervisor.Decide(supervisor.Table(
		supervisor.Is(io.ErrUnexpectedEOF, supervisor.Resume),
		supervisor.As[*fs.PathError](supervisor.Stop),
		supervisor.As[runtime.Error](supervisor.Escalate), // nil maps and the like
		supervisor.Otherwise(supervisor.Restart),
	)))
	// endregion
	return strategy, err
}

func shop(ctx context.Context, system *actor.ActorSystem, catalogue, disk, index *actor.Props) error {
	// region: supervision-spec
	shop, err := supervisor.Start(ctx, system, supervisor.Spec{
		Name:   "shop",
		Config: supervisor.Config{Intensity: supervisor.IntensityConfig{Restarts: 3, Period: time.Minute}},
		Children: []supervisor.Child{
			{Name: "catalogue", Props: catalogue},
			{Tree: &supervisor.Spec{
				Name:   "store",
				Config: supervisor.Config{Scope: supervisor.Rest},
				Children: []supervisor.Child{
					{Name: "disk", Props: disk, Shutdown: 30 * time.Second},
					{Name: "index", Props: index, Type: supervisor.Transient},
				},
			}},
		},
	})
	if err != nil {
		return err
	}
	fmt.Print(supervisor.Tree(system)) // who is under whom, states, restarts, last failures
	return shop.Shutdown(ctx)          // *supervisor.DrainError says who was stopped by force, and who is left
	// endregion
}

func release(ctx context.Context, system *actor.ActorSystem, worker *actor.PID) error {
	// region: supervision-release
	err := supervisor.Release(ctx, system, worker) // out of quarantine, or whatever it waits for
	// endregion
	return err
}

func gated(receive actor.ReceiveFunc) *actor.Props {
	// region: supervision-mailbox
	worker := actor.PropsFromFunc(receive, actor.WithMailbox(mailbox.MustNew()))
	// endregion
	return worker
}
