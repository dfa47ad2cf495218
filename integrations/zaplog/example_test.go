package zaplog_test

import (
	"log/slog"

	"go.uber.org/zap"

	"github.com/bulwark-go/bulwark/integrations/zaplog"
	"github.com/bulwark-go/bulwark/patterns"
)

// opened stands for any pattern's event.
type opened struct{ breaker, cause string }

func (e opened) Source() string    { return e.breaker }
func (e opened) Level() slog.Level { return slog.LevelWarn }
func (e opened) LogValue() slog.Value {
	return slog.GroupValue(slog.String("to", "open"), slog.String("cause", e.cause))
}

func Example() {
	z := zap.NewExample()

	// What slog.SetDefault, or a guard's logger, can be given.
	zaplog.Logger(z).Info("serving", "port", 8080)

	// Events come from a registry's subscription; this one has had its last.
	events := make(chan patterns.Event, 1)
	events <- opened{"payments", "failure ratio"}
	close(events)
	zaplog.LogEvents(z, events)

	// Output:
	// {"level":"info","msg":"serving","port":8080}
	// {"level":"warn","msg":"payments: zaplog_test.opened","event":{"to":"open","cause":"failure ratio"}}
}
