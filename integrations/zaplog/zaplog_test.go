package zaplog

import (
	"errors"
	"fmt"
	"log/slog"
	"os/exec"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/asynkron/protoactor-go/actor"
	"go.uber.org/goleak"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	"go.uber.org/zap/zaptest/observer"

	"github.com/bulwark-go/bulwark/patterns"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// tripped is an event such as a pattern has.
type tripped struct {
	name  string
	level slog.Level
	cause error
}

func (e tripped) Source() string    { return e.name }
func (e tripped) Level() slog.Level { return e.level }
func (e tripped) LogValue() slog.Value {
	return slog.GroupValue(slog.String("name", e.name), slog.Any("cause", e.cause))
}

func TestAnEventIsLoggedAtItsOwnLevelWithItsAttributes(t *testing.T) {
	levels := map[slog.Level]zapcore.Level{
		slog.LevelDebug: zap.DebugLevel, slog.LevelInfo: zap.InfoLevel,
		slog.LevelWarn: zap.WarnLevel, slog.LevelError: zap.ErrorLevel,
	}
	for level, want := range levels {
		t.Run(level.String(), func(t *testing.T) {
			z, logs := observe(zap.DebugLevel)
			LogEvents(z.Named("guards"), closed(tripped{"bank", level, errors.New("5 of 10 failed")}))
			entries := logs.All()
			if len(entries) != 1 {
				t.Fatalf("%d entries, want 1", len(entries))
			}
			e := entries[0]
			if e.Level != want || e.Message != "bank: zaplog.tripped" || e.LoggerName != "guards" {
				t.Errorf("logged %+v", e.Entry)
			}
			if e.Stack != "" {
				t.Error("the entry has a stack trace of the goroutine that logs")
			}
			got := fmt.Sprint(e.ContextMap()["event"])
			if !strings.Contains(got, "name:bank") || !strings.Contains(got, "5 of 10 failed") {
				t.Errorf("attributes %s", got)
			}
		})
	}
}

func TestALevelThatZapDoesNotLogIsNotLogged(t *testing.T) {
	z, logs := observe(zap.WarnLevel)
	LogEvents(z, closed(tripped{name: "bank", level: slog.LevelInfo}, tripped{name: "bank", level: slog.LevelWarn}))
	if logs.Len() != 1 || logs.All()[0].Level != zap.WarnLevel {
		t.Errorf("logged %v", logs.All())
	}
}

func TestEventsAreReadUntilTheChannelCloses(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		z, logs := observe(zap.DebugLevel)
		events, done := make(chan patterns.Event), make(chan struct{})
		go func() { defer close(done); LogEvents(z, events) }()
		for range 3 {
			events <- tripped{name: "bank"}
		}
		events <- nil // a nil event is passed over
		synctest.Wait()
		select {
		case <-done:
			t.Fatal("returned before the channel closed")
		default:
		}
		close(events)
		<-done
		if logs.Len() != 3 {
			t.Errorf("%d entries, want 3", logs.Len())
		}
	})
}

func TestSamplingKeepsTheFirstHundredOfASecondAndEveryHundredthAfter(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		z, logs := observe(zap.DebugLevel)
		log := Logger(z)
		storm := func(n int) int {
			for range n {
				log.Info("flap")
			}
			return len(logs.TakeAll())
		}
		if got := storm(1000); got != 100+9 {
			t.Errorf("%d of 1,000 logged, want 109", got)
		}
		time.Sleep(DefaultPeriod)
		if got := storm(100); got != 100 {
			t.Errorf("%d of 100 logged in the next second, want 100", got)
		}
	})
}

func TestSamplingNeverHidesTheFirstOfAMessage(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		z, logs := observe(zap.DebugLevel)
		var events []patterns.Event
		for range 500 {
			events = append(events, tripped{name: "bank"})
		}
		events = append(events, tripped{name: "mail"}, tripped{name: "bank", level: slog.LevelWarn})
		LogEvents(z, closed(events...), Sample(time.Hour, 0, 0))
		if got := logs.Len(); got != 3 {
			t.Errorf("%d entries, want one of each guard and level: %v", got, logs.All())
		}
	})
}

func TestSamplingCanBeTurnedOff(t *testing.T) {
	z, logs := observe(zap.DebugLevel)
	log := Logger(z, Unsampled())
	for range 1000 {
		log.Info("flap")
	}
	if logs.Len() != 1000 {
		t.Errorf("%d of 1,000 logged", logs.Len())
	}
}

func TestSampleRepairsNumbersThatMeanNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		z, logs := observe(zap.DebugLevel)
		log := Logger(z, Sample(-time.Second, -5, -5), nil)
		for range 10 {
			log.Info("flap")
		}
		if logs.Len() != 1 {
			t.Errorf("%d logged, want the first", logs.Len())
		}
	})
}

func TestLoggersDerivedFromOneAreSampledTogether(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		z, logs := observe(zap.DebugLevel)
		log := Logger(z, Sample(time.Minute, 1, 0))
		log.Info("flap")
		log.With("k", 1).Info("flap")
		log.WithGroup("g").Info("flap", "k", 2)
		if logs.Len() != 1 {
			t.Errorf("%d logged, want 1", logs.Len())
		}
	})
}

func TestANilLoggerLogsNothing(t *testing.T) {
	if Logger(nil).Enabled(t.Context(), slog.LevelError) {
		t.Error("a nil logger is enabled")
	}
	events := closed(tripped{name: "bank"})
	LogEvents(nil, events)
	if len(events) != 0 {
		t.Error("the events were not drained")
	}
	actor.NewActorSystem(ForActorSystem(nil)).Shutdown()
}

func TestAnActorSystemLogsToZapWithItsID(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		z, logs := observe(zap.InfoLevel)
		system := actor.NewActorSystem(ForActorSystem(z))
		defer system.Shutdown()
		started := logs.FilterMessage("actor system started").All()
		if len(started) != 1 || started[0].ContextMap()["system"] != system.ID {
			t.Errorf("logged %v", logs.All())
		}
	})
}

// TestOnlyThisPackageBringsZap asks the go command what a program links.
func TestOnlyThisPackageBringsZap(t *testing.T) {
	const module = "github.com/bulwark-go/bulwark/"
	out, err := exec.CommandContext(t.Context(), "go", "list", "-deps",
		module+"patterns/...", module+"actors/...", module+"mailbox/...", module+"supervisor/...").Output()
	if err != nil {
		t.Fatalf("go list: %v", err)
	}
	for pkg := range strings.Lines(string(out)) {
		if strings.HasPrefix(pkg, "go.uber.org/zap") {
			t.Errorf("the core depends on %s", pkg)
		}
	}
}

func observe(level zapcore.Level) (*zap.Logger, *observer.ObservedLogs) {
	core, logs := observer.New(level)
	return zap.New(core), logs
}

func closed(events ...patterns.Event) <-chan patterns.Event {
	c := make(chan patterns.Event, len(events))
	for _, e := range events {
		c <- e
	}
	close(c)
	return c
}
