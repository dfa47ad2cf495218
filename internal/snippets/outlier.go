package snippets

import (
	"context"

	"github.com/bulwark-go/bulwark/actors"
	"github.com/bulwark-go/bulwark/patterns"
	"github.com/bulwark-go/bulwark/patterns/outlier"
	"github.com/bulwark-go/bulwark/patterns/pipeline"
)

func outlierPattern(ctx context.Context, guards *actors.Registry, again patterns.Guard, ask func(ctx context.Context, replica string) (pdf, error)) (pdf, error) {
	// region: outlier
	replicas, err := outlier.Spawn(guards, "replicas", outlier.Config{
		Members: outlier.List("10.0.0.1:5432", "10.0.0.2:5432", "10.0.0.3:5432"),
	})
	if err != nil {
		return pdf{}, err
	}
	search, err := pipeline.New("search", again, replicas) // a retry, each of whose attempts goes somewhere else
	if err != nil {
		return pdf{}, err
	}
	return patterns.Do(outlier.Spread(ctx), search, func(ctx context.Context) (pdf, error) {
		replica, _ := outlier.MemberOf(ctx)
		return ask(ctx, replica)
	})
	// endregion
}

func outlierChoose(ctx context.Context, replicas *outlier.Ejector, ask func(ctx context.Context, replica string) error) error {
	// region: outlier-choose
	choice, err := replicas.Choose(ctx)
	if err != nil {
		return err
	}
	defer choice.Release() // says nothing of the replica; harmless after Report
	err = ask(ctx, choice.Member())
	choice.Report(patterns.Classify(ctx, err))
	return err
	// endregion
}
