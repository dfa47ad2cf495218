package redislimiter_test

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"sync"
	"testing"
	"time"

	"github.com/asynkron/protoactor-go/actor"
	"github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/logging"

	"github.com/bulwark-go/bulwark/actors"
	"github.com/bulwark-go/bulwark/patterns/ratelimiter"
	redislimiter "github.com/bulwark-go/bulwark/patterns/ratelimiter/redis"
)

// instance is what a process of its own does: this test binary, started anew. It asks for one
// key with so many goroutines until its input ends, and writes down what was admitted.
type instance struct {
	URL       string `json:",omitempty"` // or
	Sentinel  string `json:",omitempty"` // the address of one, of redistest.MasterName
	Prefix    string
	Rate      ratelimiter.Rate
	Algorithm ratelimiter.Algorithm
	Policy    redislimiter.Outage
	Callers   int // 0 is one that asks once, and says what it was told
}

const instanceEnv = "BULWARK_TEST_INSTANCE"

func isInstance() bool { return os.Getenv(instanceEnv) != "" }

// start starts a process, with more in its environment.
func (n instance) start(t *testing.T, env ...string) (in io.WriteCloser, out io.ReadCloser, end func() error) {
	t.Helper()
	text, err := json.Marshal(n)
	must(t, err)
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(append(os.Environ(), instanceEnv+"="+string(text), "GORACE=atexit_sleep_ms=0"), env...)
	cmd.Stderr = os.Stderr
	in, err = cmd.StdinPipe()
	must(t, err)
	out, err = cmd.StdoutPipe()
	must(t, err)
	must(t, cmd.Start())
	return in, out, cmd.Wait
}

func beInstance() (exit int) {
	logging.Disable()
	var n instance
	err := json.Unmarshal([]byte(os.Getenv(instanceEnv)), &n)
	if err == nil {
		err = n.run(os.Stdin, os.Stdout)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "instance:", err)
		return 1
	}
	return 0
}

func (n instance) config() (c redislimiter.Config, hangUp func() error) {
	c = redislimiter.Config{
		Rate: n.Rate, Algorithm: n.Algorithm, URL: n.URL, Prefix: n.Prefix, OnOutage: n.Policy,
		Timeout: 10 * time.Second, RetryEvery: 10 * time.Millisecond,
	}
	if n.Sentinel == "" {
		return c, func() error { return nil }
	}
	client := ofSentinel(n.Sentinel)
	c.Client = client
	return c, client.Close
}

func ofSentinel(addr string) *redis.Client {
	return redis.NewFailoverClient(&redis.FailoverOptions{
		MasterName: "bulwark", SentinelAddrs: []string{addr}, MaxRetries: -1, DialerRetries: 1,
		DialTimeout: unhurried, ReadTimeout: unhurried, WriteTimeout: unhurried, ContextTimeoutEnabled: true,
	})
}

func (n instance) run(in io.Reader, out io.Writer) (err error) {
	guards, err := actors.NewRegistry(actor.NewActorSystem(), actors.WithoutEventLog())
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, guards.Shutdown(context.Background())) }()
	c, hangUp := n.config()
	defer func() { err = errors.Join(err, hangUp()) }()
	l, err := redislimiter.Spawn(guards, "shared", c)
	if err != nil {
		return err
	}
	first := l.Wait(context.Background(), "to connect")
	for began := time.Now(); n.Callers > 0 && first != nil && time.Since(began) < 20*time.Second; { // while all start at once
		first = l.Wait(context.Background(), "to connect")
	}
	if _, err := fmt.Fprintln(out, "asked:", first); err != nil || n.Callers == 0 {
		return err
	}
	input := bufio.NewReader(in)
	if _, err := input.ReadString('\n'); err != nil { // when all are there
		return err
	}
	ctx, stop := context.WithCancel(context.Background())
	go func() {
		_, _ = io.Copy(io.Discard, input)
		stop()
	}()
	return n.hammer(ctx, l, out)
}

// hammer writes a line for everything that was admitted: µs since 1970, before and after.
func (n instance) hammer(ctx context.Context, l *redislimiter.Limiter, out io.Writer) (err error) {
	lines := make(chan [2]int64, 1024)
	var all sync.WaitGroup
	for range n.Callers {
		all.Go(func() {
			for ctx.Err() == nil {
				asked := time.Now().UnixMicro()
				if passes(ctx, l) {
					lines <- [2]int64{asked, time.Now().UnixMicro() + 1}
				}
			}
		})
	}
	go func() {
		all.Wait()
		close(lines)
	}()
	w := bufio.NewWriter(out)
	for line := range lines {
		_, e := fmt.Fprintln(w, line[0], line[1])
		err = errors.Join(err, e)
	}
	return errors.Join(err, w.Flush())
}
