// Distributed has three processes share a limit of 100 a second through Redis, which is
// stopped and started meanwhile. You will see what each of them was allowed in every
// second, and that together it was never more: not while Redis is there, not while each
// process keeps its share for itself, and not when Redis comes back. Which of them gets how
// much of a limit that is shared is luck. Where there is no Redis at all the shares are all
// there is.
package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"
	"time"

	"go.uber.org/zap"

	"github.com/bulwark-go/bulwark/examples/internal/fleet"
	"github.com/bulwark-go/bulwark/internal/redisserver"
)

// plan is when Redis is there.
var plan = fleet.Plan{Up: 2 * time.Second, Down: 2 * time.Second, Back: 3 * time.Second}

func main() {
	if fleet.IsWorker() {
		fleet.Work()
		return
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	held, err := run(ctx, os.Stdout)
	if err != nil {
		log := zap.Must(zap.NewDevelopment())
		log.Fatal("distributed failed", zap.Error(err))
	}
	if ctx.Err() != nil {
		os.Exit(130)
	}
	if !held {
		os.Exit(1)
	}
}

func run(ctx context.Context, out io.Writer) (held bool, err error) {
	if _, missing := redisserver.Find(); missing != nil {
		printf(out, "There is no redis-server (Debian and Ubuntu: apt-get install redis-server; macOS: brew install redis).\n")
		printf(out, "So each of %d processes keeps a third of %v for itself.\n\n", fleet.Processes, fleet.Limit)
	} else {
		printf(out, "%d processes share %v through Redis. Which of them is let through is luck, as long as Redis runs.\n\n", fleet.Processes, fleet.Limit)
	}
	printf(out, "second   redis     one   two   three   together\n")
	r, err := fleet.Run(ctx, plan, os.Stderr, func(s fleet.Second) {
		at := int(s.From.Seconds())
		printf(out, "%2d to %2d %-7s  %5d %5d %7d %10d\n", at, at+1, s.Redis, s.By[0], s.By[1], s.By[2], s.Together)
	})
	if err != nil || ctx.Err() != nil {
		return true, err
	}
	printf(out, "\n")
	return judge(out, r), nil
}

func printf(out io.Writer, format string, args ...any) { _, _ = fmt.Fprintf(out, format, args...) }
