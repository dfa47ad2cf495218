package store

import (
	"context"
	"net"
	"strconv"
	"sync/atomic"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/bulwark-go/bulwark/internal/redistest"
)

// However often scripts are flushed, each request is decided once.
func TestAScriptThatIsFlushedIsLoadedAgain(t *testing.T) {
	own := redistest.Client(t, redistest.Start(t).URL())
	for _, a := range []Algorithm{TokenBucket, SlidingLog} {
		s := newStore(t, own, a)
		law := s.mustLaw(t, per(1000, time.Hour, 1000))
		for i := range int64(5) {
			must(t, own.ScriptFlush(t.Context()).Err())
			if got := s.run(t, Check{Key: "k", Law: law, Weight: 1})[0]; got.Remaining != 999-i {
				t.Fatalf("algorithm %d: %d left, want %d", a, got.Remaining, 999-i)
			}
		}
	}
}

// forgets has the server not know the script of some commands of a pipeline.
type forgets struct{ every int }

func (forgets) DialHook(next redis.DialHook) redis.DialHook          { return next }
func (forgets) ProcessHook(next redis.ProcessHook) redis.ProcessHook { return next }
func (f forgets) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return func(ctx context.Context, cmds []redis.Cmder) error {
		for i, cmd := range cmds {
			if args := cmd.Args(); i%f.every == 0 && args[0] == "evalsha" {
				args[1] = "ffffffffffffffffffffffffffffffffffffffff"
			}
		}
		return next(ctx, cmds)
	}
}

// In the middle of a pipeline too, and only what did not run is run again.
func TestScriptsThatAreFlushedInAPipeline(t *testing.T) {
	for name, client := range map[string]redis.UniversalClient{"single": servers.Client(t), "cluster": clusterClient(t)} {
		client.AddHook(forgets{every: 2})
		s := newStore(t, client, TokenBucket)
		law := s.mustLaw(t, per(1000, time.Hour, 1000))
		var checks []Check
		for i := range 5 * maxKeys {
			checks = append(checks, Check{Key: strconv.Itoa(i), Law: law, Weight: 1})
		}
		for round := range int64(3) {
			for i, a := range s.run(t, checks...) {
				if a.Remaining != 999-round {
					t.Fatalf("%s, round %d: %d left of key %d", name, round, a.Remaining, i)
				}
			}
		}
	}
}

// Slots that move are followed, and nothing is decided twice or not at all.
func TestSlotsThatMove(t *testing.T) {
	cluster := redistest.StartCluster(t, 3)
	client := redis.NewClusterClient(&redis.ClusterOptions{Addrs: cluster.Addrs()})
	t.Cleanup(func() { _ = client.Close() })
	s := newStore(t, client, TokenBucket)
	law := s.mustLaw(t, per(1000, time.Hour, 1000))
	checks := []Check{{Key: "a", Law: law, Weight: 1}, {Key: "b", Law: law, Weight: 1}, {Key: "c", Law: law, Weight: 1}}
	left := int64(1000)
	ask := func(when string) {
		t.Helper()
		left--
		for i, a := range s.run(t, checks...) {
			if a.Remaining != left {
				t.Errorf("%s: %d left of key %d, want %d", when, a.Remaining, i, left)
			}
		}
		left--
		for i := range checks {
			if a := s.run(t, checks[i])[0]; a.Remaining != left {
				t.Errorf("%s: %d left of key %d alone, want %d", when, a.Remaining, i, left)
			}
		}
	}
	ask("at first")
	slot, err := cluster.Slot(t.Context(), s.Name("a"))
	must(t, err)
	owner, err := cluster.Owner(t.Context(), slot)
	must(t, err)
	must(t, cluster.Move(t.Context(), slot, (owner+1)%3))
	ask("after a slot moved")
	must(t, cluster.Migrating(t.Context(), slot, owner))
	ask("while a slot is on its way, and its key still here")
	must(t, cluster.Move(t.Context(), slot, owner))
	ask("after it moved back")
	fresh := s.mustLaw(t, per(7, time.Hour, 7))
	must(t, cluster.Migrating(t.Context(), slot, (owner+1)%3))
	must(t, client.Del(t.Context(), s.Name("a")).Err())
	for i := range int64(3) {
		if a := s.run(t, Check{Key: "a", Law: fresh, Weight: 1})[0]; a.Remaining != 6-i {
			t.Errorf("a key that is new while its slot is on its way: %+v", a)
		}
	}
}

// A master that has become a replica is left for the new one, which does not know the
// script yet, and nobody notices.
func TestAMasterThatStepsDown(t *testing.T) {
	old, next := redistest.Start(t), redistest.Start(t)
	var addr atomic.Value
	addr.Store(old.Addr())
	client := redis.NewClient(&redis.Options{Dialer: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "tcp", addr.Load().(string))
	}})
	t.Cleanup(func() { _ = client.Close() })
	for _, calls := range []int{1, 3} {
		s := newStore(t, client, TokenBucket)
		law := s.mustLaw(t, per(1000, time.Hour, 1000))
		var checks []Check
		for i := range calls * maxKeys {
			checks = append(checks, Check{Key: strconv.Itoa(i), Law: law, Weight: 1})
		}
		s.run(t, checks...)
		host, port, err := net.SplitHostPort(next.Addr())
		must(t, err)
		must(t, redistest.Client(t, old.URL()).ReplicaOf(t.Context(), host, port).Err())
		addr.Store(next.Addr())
		for i, a := range s.run(t, checks...) {
			if a.Remaining != 999 { // of what the new one knows
				t.Fatalf("%d calls: %d left of key %d", calls, a.Remaining, i)
			}
		}
		must(t, redistest.Client(t, next.URL()).ScriptFlush(t.Context()).Err())
		old, next = next, old
		must(t, redistest.Client(t, next.URL()).ReplicaOf(t.Context(), "NO", "ONE").Err())
	}
}

// A client of Sentinel finds the new master, and with it what the old one knew.
func TestAReplicaThatTakesOver(t *testing.T) {
	sentinel := redistest.StartSentinel(t)
	client := redis.NewFailoverClient(&redis.FailoverOptions{MasterName: "bulwark", SentinelAddrs: []string{sentinel.Addr()}})
	t.Cleanup(func() { _ = client.Close() })
	s := newStore(t, client, TokenBucket)
	law := s.mustLaw(t, per(1000, time.Hour, 1000))
	check := Check{Key: "k", Law: law, Weight: 1}
	s.run(t, check, check, check)
	must(t, client.Wait(t.Context(), 1, time.Second).Err())
	must(t, sentinel.Failover(t.Context()))
	answers := make([]Answer, 1)
	for err := s.Run(t.Context(), []Check{check}, answers); err != nil; err = s.Run(t.Context(), []Check{check}, answers) {
		if fault := newFault(err); t.Context().Err() != nil {
			t.Fatal(fault)
		}
	}
	if got := answers[0].Remaining; got > 996 || got < 990 {
		t.Errorf("the replica has %d left, want 996", got)
	}
}
