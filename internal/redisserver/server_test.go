package redisserver_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"go.uber.org/goleak"

	"github.com/bulwark-go/bulwark/internal/redisserver"
)

func TestMain(m *testing.M) {
	if os.Getenv("BULWARK_TEST_ORPHAN") != "" {
		abandon()
	}
	goleak.VerifyTestMain(m)
}

// abandon starts a server, says where it is, and waits to be killed.
func abandon() {
	s, err := redisserver.Start()
	if err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
	rdb := redis.NewClient(&redis.Options{Addr: s.Addr()})
	fmt.Println(s.Addr(), rdb.ConfigGet(context.Background(), "dir").Val()["dir"])
	select {}
}

func TestNothingIsLeftOfAProcessThatWasKilled(t *testing.T) {
	leaveOut(t)
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), "BULWARK_TEST_ORPHAN=1")
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	// The janitor inherits it: it ends when both are gone.
	noise, err := cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	line, _ := bufio.NewReader(out).ReadString('\n')
	addr, dir, _ := strings.Cut(strings.TrimSpace(line), " ")
	if _, err := os.Stat(dir); err != nil {
		t.Fatalf("the directory of the server: %v", err)
	}
	conn, err := net.DialTimeout("tcp", addr, time.Second)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	if said, err := io.ReadAll(noise); err != nil || len(said) > 0 {
		t.Errorf("it said %q, %v", said, err)
	}
	_ = cmd.Wait()
	if _, err := os.Stat(dir); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("%s is still there: %v", dir, err)
	}
	if err := conn.SetReadDeadline(time.Now().Add(5 * time.Second)); err != nil {
		t.Fatal(err)
	}
	if _, err := conn.Read(make([]byte, 1)); errors.Is(err, os.ErrDeadlineExceeded) {
		t.Error("the server still runs")
	}
}

func TestAServerIsKilledPausedAndComesBack(t *testing.T) {
	s := start(t)
	rdb := client(t, s.Addr())
	ctx := t.Context()
	must(t, rdb.Set(ctx, "k", "v", 0).Err())

	must(t, s.Pause())
	if err := rdb.Get(ctx, "k").Err(); err == nil {
		t.Error("a server that is paused answers")
	}
	must(t, s.Resume())
	if got, err := client(t, s.Addr()).Get(ctx, "k").Result(); got != "v" || err != nil {
		t.Errorf("after the pause: want v, got %q, %v", got, err)
	}

	must(t, s.Kill())
	if err := rdb.Ping(ctx).Err(); err == nil {
		t.Error("a server that was killed answers")
	}
	if err := s.Pause(); !errors.Is(err, redisserver.ErrStopped) {
		t.Errorf("pausing a dead server: want ErrStopped, got %v", err)
	}
	must(t, s.Restart())
	if err := client(t, s.Addr()).Get(ctx, "k").Err(); !errors.Is(err, redis.Nil) {
		t.Errorf("nothing outlives a restart: got %v", err)
	}
	must(t, s.Pause()) // and is stopped all the same
	must(t, s.Stop())
	must(t, s.Stop())
}

func TestAServerThatCannotStartSaysWhy(t *testing.T) {
	leaveOut(t)
	_, err := redisserver.Start("--no-such-directive", "1")
	if err == nil || !strings.Contains(err.Error(), "no-such-directive") {
		t.Errorf("want its own words, got %v", err)
	}
}

func TestAMachineWithoutRedisSaysWhatToInstall(t *testing.T) {
	t.Setenv("PATH", t.TempDir())
	_, err := redisserver.Start()
	var missing *redisserver.MissingError
	if !errors.As(err, &missing) || !errors.Is(err, exec.ErrNotFound) || !strings.Contains(err.Error(), "apt-get install redis-server") {
		t.Errorf("got %v", err)
	}
}

func TestSlotsMoveBetweenTheNodesOfACluster(t *testing.T) {
	leaveOut(t)
	c, err := redisserver.StartCluster(3)
	must(t, err)
	t.Cleanup(func() { must(t, c.Stop()) })
	ctx := t.Context()
	rdb := redis.NewClusterClient(&redis.ClusterOptions{Addrs: c.Addrs()})
	t.Cleanup(func() { _ = rdb.Close() })
	for i := range 30 {
		must(t, rdb.Set(ctx, fmt.Sprintf("{tag}%d", i), i, 0).Err())
	}
	slot, err := c.Slot(ctx, "{tag}")
	must(t, err)
	from, err := c.Owner(ctx, slot)
	must(t, err)
	to := (from + 1) % 3
	must(t, c.Migrating(ctx, slot, to))
	must(t, rdb.Get(ctx, "{tag}7").Err())
	if err := rdb.Get(ctx, "{tag}none").Err(); !errors.Is(err, redis.Nil) {
		t.Errorf("a key that is nowhere, through ASK: got %v", err)
	}
	must(t, c.Move(ctx, slot, to))
	if got, err := c.Owner(ctx, slot); got != to || err != nil {
		t.Errorf("the slot has moved to node %d: got %d, %v", to, got, err)
	}
	for i := range 30 {
		if got, err := rdb.Get(ctx, fmt.Sprintf("{tag}%d", i)).Int(); got != i || err != nil {
			t.Errorf("key %d after the move: got %d, %v", i, got, err)
		}
	}
	if err := client(t, c.Nodes()[from].Addr()).Get(ctx, "{tag}7").Err(); err == nil || !strings.HasPrefix(err.Error(), "MOVED") {
		t.Errorf("the old node says MOVED: got %v", err)
	}
}

func TestTheReplicaTakesOver(t *testing.T) {
	leaveOut(t)
	n, err := redisserver.StartSentinel()
	must(t, err)
	t.Cleanup(func() { must(t, n.Stop()) })
	ctx := t.Context()
	rdb := redis.NewFailoverClient(&redis.FailoverOptions{
		MasterName: redisserver.MasterName, SentinelAddrs: []string{n.Addr()}, MaxRetries: -1,
	})
	t.Cleanup(func() { _ = rdb.Close() })
	must(t, rdb.Set(ctx, "k", "v", 0).Err())
	if n, err := rdb.Wait(ctx, 1, 5*time.Second).Result(); n != 1 || err != nil {
		t.Fatalf("the replica has it: got %d, %v", n, err)
	}
	replica, err := n.Replica(ctx)
	must(t, err)
	if err := client(t, replica.Addr()).Set(ctx, "k", "w", 0).Err(); err == nil || !strings.HasPrefix(err.Error(), "READONLY") {
		t.Errorf("a replica is read only: got %v", err)
	}
	must(t, n.Failover(ctx))
	if master, err := n.Master(ctx); err != nil || master != replica {
		t.Errorf("the replica is the master now: got %v, %v", master, err)
	}
	must(t, n.Rejoin(ctx))
	must(t, n.KillMaster(ctx))
	if got, err := client(t, mustGet(t)(n.Master(ctx)).Addr()).Get(ctx, "k").Result(); got != "v" || err != nil {
		t.Errorf("what was replicated: want v, got %q, %v", got, err)
	}
}

func start(t *testing.T) *redisserver.Server {
	t.Helper()
	leaveOut(t)
	s, err := redisserver.Start()
	must(t, err)
	t.Cleanup(func() { must(t, s.Stop()) })
	return s
}

func client(t *testing.T, addr string) *redis.Client {
	t.Helper()
	rdb := redis.NewClient(&redis.Options{
		Addr: addr, MaxRetries: -1, DialTimeout: time.Second, ReadTimeout: 200 * time.Millisecond,
	})
	t.Cleanup(func() { _ = rdb.Close() })
	return rdb
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func mustGet(t *testing.T) func(*redisserver.Server, error) *redisserver.Server {
	return func(s *redisserver.Server, err error) *redisserver.Server {
		t.Helper()
		must(t, err)
		return s
	}
}

func leaveOut(t *testing.T) {
	t.Helper()
	if testing.Short() {
		t.Skip("left out with -short: it starts redis-server")
	}
}
