// Config edits a file of guards while they run. You will see limits change under calls that
// are being made, a bad edit that is refused whole, and a circuit breaker that remembers what
// it saw before the file was edited.
package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"time"

	"github.com/asynkron/protoactor-go/actor"
	"go.uber.org/zap"

	"github.com/bulwark-go/bulwark/actors"
	"github.com/bulwark-go/bulwark/config"
	"github.com/bulwark-go/bulwark/integrations/zaplog"
	"github.com/bulwark-go/bulwark/patterns"
)

const first = `guards:
  reports:  { bulkhead: { max_concurrent: 2 } }
  payments: { circuitbreaker: { consecutive_failures: 3, open_for: 30s } }
pipelines:
  bank: [ payments ]
`

const wider = `guards:
  reports:  { bulkhead: { max_concurrent: 3 } }
  payments: { circuitbreaker: { consecutive_failures: 3, open_for: 30s } }
pipelines:
  bank: [ payments ]
`

const bad = `guards:
  reports:  { bulkhead: { max_concurrent: 100, max_wait: 5 } }
  payments: { circuitbreaker: { consecutive_failures: 3, opn_for: 30s } }
pipelines:
  bank: [ payments, rooms ]
`

const limited = `guards:
  reports:  { bulkhead: { max_concurrent: 3 } }
  payments: { circuitbreaker: { consecutive_failures: 3, open_for: 1m } }
  api:      { ratelimiter: { rate: 100/minute, burst: 20 } }
pipelines:
  bank: [ api, payments ]
`

func main() {
	log := zap.Must(zap.NewDevelopment())
	ctx, cancel := context.WithTimeout(context.Background(), 50*time.Second)
	defer cancel()
	if err := run(ctx, log); err != nil {
		log.Fatal("config failed", zap.Error(err))
	}
}

func run(ctx context.Context, log *zap.Logger) error {
	dir, err := os.MkdirTemp("", "bulwark")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir) //nolint:errcheck // the system's own business
	e := &editor{path: filepath.Join(dir, "bulwark.yaml"), news: make(news, 16)}
	if err := e.write(first); err != nil {
		return err
	}
	file, err := config.Load(e.path, config.Environ())
	if err != nil {
		return err
	}
	guards, err := actors.NewRegistry(actor.NewActorSystem(zaplog.ForActorSystem(log)))
	if err != nil {
		return err
	}
	set, err := file.Spawn(guards, config.WithLogger(slog.New(e.news)))
	if err != nil {
		return err
	}
	if err := e.hear(ctx); err != nil {
		return err
	}
	watching, stop := context.WithCancel(ctx)
	defer stop()
	ended := make(chan error, 1)
	go func() { ended <- config.Watch(watching, e.path, set, 20*time.Millisecond) }()
	if err := story(ctx, e, set); err != nil {
		return err
	}
	stop()
	if err := <-ended; !errors.Is(err, context.Canceled) {
		return err
	}
	return guards.Shutdown(ctx)
}

func story(ctx context.Context, e *editor, set *config.Set) error {
	reports, _ := set.Guard("reports")
	var out []patterns.Permit
	take := func() {
		permit, err := reports.Acquire(ctx)
		if err == nil {
			out = append(out, permit)
			fmt.Println("a report begins")
			return
		}
		fmt.Println(err)
	}
	take()
	take()
	take()
	fail(ctx, set)
	fail(ctx, set)

	fmt.Println("\nA third place, while two are taken:")
	if err := e.edit(ctx, wider); err != nil {
		return err
	}
	take()
	take()

	fmt.Println("\nAn edit with three mistakes:")
	if err := e.edit(ctx, bad); err != nil {
		return err
	}
	take() // not one of 100
	for i := range out {
		out[i].Report(patterns.Success)
	}

	fmt.Println("\nA rate limit before the breaker, which has seen two failures of three:")
	if err := e.edit(ctx, limited); err != nil {
		return err
	}
	bank, _ := set.Pipeline("bank")
	fmt.Println("bank is", bank)
	fail(ctx, set)
	fail(ctx, set)
	return nil
}

// fail is a call that the bank does not answer. A pipeline is looked up for each call.
func fail(ctx context.Context, set *config.Set) {
	bank, _ := set.Pipeline("bank")
	err := patterns.Run(ctx, bank, func(context.Context) error { return errors.New("the bank does not answer") })
	if errors.Is(err, patterns.ErrRejected) {
		fmt.Println("refused: the breaker is open")
		return
	}
	fmt.Println(err)
}

// editor changes the file, and hears what becomes of it.
type editor struct {
	path string
	news news
}

func (e *editor) write(text string) error { return os.WriteFile(e.path, []byte(text), 0o600) }

func (e *editor) edit(ctx context.Context, text string) error {
	if err := e.write(text); err != nil {
		return err
	}
	return e.hear(ctx)
}

// hear prints what is logged next.
func (e *editor) hear(ctx context.Context) error {
	select {
	case r := <-e.news:
		fmt.Println(r.Message)
		r.Attrs(func(a slog.Attr) bool {
			if a.Key != "file" {
				fmt.Println(a.Value.Any())
			}
			return true
		})
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// news is a slog.Handler that tells the story.
type news chan slog.Record

// Enabled implements slog.Handler.
func (n news) Enabled(context.Context, slog.Level) bool { return true }

// Handle implements slog.Handler.
func (n news) Handle(_ context.Context, r slog.Record) error { n <- r; return nil }

// WithAttrs implements slog.Handler.
func (n news) WithAttrs([]slog.Attr) slog.Handler { return n }

// WithGroup implements slog.Handler.
func (n news) WithGroup(string) slog.Handler { return n }
