package snippets

import (
	"context"
	"log/slog"
	"os"
	"time"

	"github.com/bulwark-go/bulwark/actors"
	"github.com/bulwark-go/bulwark/config"
	"github.com/bulwark-go/bulwark/patterns"
	"github.com/bulwark-go/bulwark/patterns/ratelimiter"
)

func fromAFile(ctx context.Context, guards *actors.Registry, log *slog.Logger, bank bankAPI, o order) error {
	// region: config-load
	file, err := config.Load("bulwark.yaml") // err names every fault, with its line
	if err != nil {
		return err
	}
	set, err := file.Spawn(guards, config.WithLogger(log)) // all guards, or none
	if err != nil {
		return err
	}
	go config.Watch(ctx, "bulwark.yaml", set, 2*time.Second) // until ctx ends

	charge, _ := set.Pipeline("bank") // as it is now: ask for each call
	paid, err := patterns.Do(ctx, charge, func(ctx context.Context) (receipt, error) {
		return bank.charge(ctx, o)
	})
	// endregion
	_ = paid
	return err
}

func configuredHandles(guards *actors.Registry) bool {
	// region: config-handles
	api, ok := ratelimiter.Get(guards, "api") // the same handle before and after a reload
	if !ok {
		return false
	}
	return api.Allow("user-123")
	// endregion
}

func configuredByHand(ctx context.Context, set *config.Set, text []byte) error {
	// region: config-reload
	next, err := config.Parse(text, config.Name("from the console"), config.EnvPrefix("SHOP_"))
	if err != nil {
		return err
	}
	changes, err := set.Reload(ctx, next) // wholly or not at all
	if err != nil {
		return err
	}
	for _, c := range changes.Changed {
		slog.InfoContext(ctx, "changed", "guard", c.Guard, "setting", c.Setting, "from", c.From, "to", c.To)
	}
	// endregion
	return nil
}

func writeSchema() error {
	// region: config-schema
	err := os.WriteFile("bulwark.schema.json", config.Schema(), 0o644)
	// endregion
	return err
}
