package fleet

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/signal"
	"sync"
	"time"

	"github.com/asynkron/protoactor-go/actor"
	"github.com/redis/go-redis/v9/logging"
	"go.uber.org/zap"

	"github.com/bulwark-go/bulwark/actors"
	"github.com/bulwark-go/bulwark/integrations/zaplog"
	"github.com/bulwark-go/bulwark/patterns/ratelimiter"
	redislimiter "github.com/bulwark-go/bulwark/patterns/ratelimiter/redis"
)

const (
	// worker is the environment variable that makes a process one of a fleet. It has the
	// URL of the Redis that they share, or alone.
	worker = "BULWARK_FLEET"
	alone  = "alone"

	// callers are how many in each process ask all the time. One that is refused rests for about
	// so long: if it were exactly that, those who come just after a permit would have them all.
	callers = 4
	rest    = 10 * time.Millisecond

	// customer is whom all of them ask for.
	customer = "customer-7"
)

// IsWorker reports whether this process is one of a fleet.
func IsWorker() bool { return os.Getenv(worker) != "" }

// Work is what such a process does, until its input ends: when the fleet does, or the
// process that started it.
func Work() {
	signal.Ignore(os.Interrupt) // who started it is told too
	ctx, stop := context.WithCancel(context.Background())
	go func() {
		_, _ = io.Copy(io.Discard, os.Stdin)
		stop()
	}()
	logging.Disable() // the client's own: it tells of every call that fails
	log := zap.Must(zap.NewDevelopment(zap.IncreaseLevel(zap.WarnLevel)))
	if err := work(ctx, log, os.Getenv(worker), os.Stdout); err != nil {
		log.Fatal("a process of the fleet failed", zap.Error(err))
	}
}

// asker is one of the limiters that keep the limit.
type asker interface{ Allow(key string) bool }

func work(ctx context.Context, log *zap.Logger, url string, out io.Writer) error {
	system := actor.NewActorSystem(zaplog.ForActorSystem(log))
	guards, err := actors.NewRegistry(system)
	if err != nil {
		return err
	}
	limiter, err := open(guards, url)
	if err != nil {
		return err
	}
	lines := make(chan string, 1024)
	var asking sync.WaitGroup
	for range callers {
		asking.Go(func() { ask(ctx, limiter, lines) })
	}
	go func() {
		asking.Wait()
		close(lines)
	}()
	w := bufio.NewWriter(out)
	for line := range lines {
		_, err = w.WriteString(line)
		if len(lines) == 0 {
			err = errors.Join(err, w.Flush())
		}
		if err != nil {
			break
		}
	}
	for range lines { // who started it has gone
	}
	return errors.Join(err, guards.Shutdown(context.Background()))
}

// ask asks until ctx ends, and writes down when it was let through.
func ask(ctx context.Context, l asker, lines chan<- string) {
	rests := time.NewTimer(0)
	defer rests.Stop()
	for ctx.Err() == nil {
		before := time.Now()
		if l.Allow(customer) {
			lines <- fmt.Sprintln(before.UnixMicro(), time.Now().UnixMicro()+1) // + 1 for what is cut off
			continue
		}
		rests.Reset(rest/2 + rand.N(rest))
		select {
		case <-rests.C:
		case <-ctx.Done():
		}
	}
}

// open returns the limiter: one that is shared through Redis, or this process's part of
// the limit where there is none.
func open(guards *actors.Registry, url string) (asker, error) {
	if url == alone {
		part := ratelimiter.Rate{Count: Limit.Count, Per: Processes * Limit.Per, Burst: Limit.Burst / Processes}
		return ratelimiter.Spawn(guards, "api", ratelimiter.Config{Rate: part})
	}
	return redislimiter.Spawn(guards, "api", redislimiter.Config{
		Rate: Limit, URL: url, OnOutage: redislimiter.Local, Instances: Processes, RetryEvery: 20 * time.Millisecond,
	})
}
