package store

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/bulwark-go/bulwark/internal/redistest"
)

func TestWhatServersSay(t *testing.T) {
	for text, want := range map[string]Class{
		"NOSCRIPT No matching script. Please use EVAL.":                                           NoScript,
		"READONLY You can't write against a read only replica.":                                   ReadOnly,
		"-READONLY You can't write against a read only replica.":                                  ReadOnly,
		"MOVED 3999 127.0.0.1:6381":                                                               Moved,
		"ASK 3999 127.0.0.1:6381":                                                                 Moved,
		"TRYAGAIN Multiple keys request during rehashing of slot":                                 TryAgain,
		"LOADING Redis is loading the dataset in memory":                                          Loading,
		"OOM command not allowed when used memory > 'maxmemory'.":                                 OutOfMemory,
		"BUSY Redis is busy running a script. You can only call SCRIPT KILL or SHUTDOWN NOSAVE.":  ScriptBusy,
		"NOAUTH Authentication required.":                                                         NoAuth,
		"WRONGPASS invalid username-password pair or user is disabled.":                           NoAuth,
		"NOPERM this user has no permissions to run the 'evalsha' command":                        NoPermission,
		"ERR The user executing the script can't run this command or subcommand":                  NoPermission,
		"ERR ACL failure in script: User limiter has no permissions to run the 'set' command":     NoPermission,
		"CLUSTERDOWN Hash slot not served":                                                        ClusterDown,
		"MASTERDOWN Link with MASTER is down and replica-serve-stale-data is set to 'no'.":        MasterDown,
		"MISCONF Redis is configured to save RDB snapshots, but it's currently unable to persist": Misconfigured,
		"NOREPLICAS Not enough good replicas to write.":                                           Misconfigured,
		"ERR max number of clients reached":                                                       TooManyClients,
		"ERR user_script:85: Attempt to modify a readonly table":                                  Unknown,
		"BUSYKEY Target key name already exists.":                                                 Unknown,
		"OOMPH": Unknown,
		"":      Unknown,
	} {
		if got := ofServer(text); got != want {
			t.Errorf("%q is %v, want %v", text, got, want)
		}
	}
}

func TestWhatClientsSay(t *testing.T) {
	dial := &net.OpError{Op: "dial", Err: os.ErrDeadlineExceeded}
	for _, test := range []struct {
		err  error
		want Class
	}{
		{dial, Unreachable},
		{fmt.Errorf("in time: %w", dial), Unreachable},
		{&net.DNSError{Err: "no such host"}, Unreachable},
		{redis.ErrClosed, Unreachable},
		{redis.ErrPoolTimeout, Busy},
		{redis.ErrPoolExhausted, Busy},
		{context.Canceled, Cancelled},
		{context.DeadlineExceeded, Cancelled},
		{&net.OpError{Op: "read", Err: os.ErrDeadlineExceeded}, TimedOut},
		{os.ErrDeadlineExceeded, TimedOut},
		{&net.OpError{Op: "read", Err: errors.New("connection reset by peer")}, Broken},
		{io.EOF, Broken},
		{net.ErrClosed, Broken},
		{errors.New("redis: all sentinels specified in configuration are unreachable"), Unreachable},
		{errors.New("redis: cluster has no nodes"), Unreachable},
		{&tls.CertificateVerificationError{Err: x509.UnknownAuthorityError{}}, Untrusted},
		{errors.New("anything"), Unknown},
	} {
		if got := newFault(test.err); got.Class != test.want || !errors.Is(got, test.err) {
			t.Errorf("%v is %v, want %v", test.err, got.Class, test.want)
		}
	}
}

func TestEveryClassHasAName(t *testing.T) {
	for c := Unknown; c <= Untrusted; c++ {
		if c.Elsewhere() && !c.NotRun() {
			t.Errorf("%v may have run, and would be asked elsewhere", c)
		}
		if c.String() == "" || c.String() == "class "+strconv.Itoa(int(c)) {
			t.Errorf("class %d is called %q", c, c)
		}
	}
}

// fails asks for one, and returns what befell it.
func (s *Store) fails(ctx context.Context, t *testing.T) *Fault {
	t.Helper()
	answers := make([]Answer, 2)
	law := s.mustLaw(t, per(10, time.Hour, 10))
	err := s.Run(ctx, []Check{{Key: "k", Law: law, Weight: 1}, {Key: "k", Law: law, Weight: 1}}, answers)
	for _, a := range answers {
		if a.Err == nil || !errors.Is(a.Err, err) {
			t.Fatalf("Run says %v, and an answer %+v", err, a)
		}
	}
	fault, ok := errors.AsType[*Fault](err)
	if !ok {
		t.Fatalf("got %v, want a fault", err)
	}
	return fault
}

// Each server is brought to where it says no.
func TestFaultsOfServers(t *testing.T) {
	wants := func(t *testing.T, s *Store, want Class, notRun bool) {
		t.Helper()
		if got := s.fails(t.Context(), t); got.Class != want || got.Class.NotRun() != notRun {
			t.Errorf("got %v: %v, not run: %t; want %v", got.Class, got, got.Class.NotRun(), want)
		}
	}
	t.Run("out of memory", func(t *testing.T) {
		for _, a := range []Algorithm{TokenBucket, SlidingLog} {
			own := redistest.Client(t, redistest.Start(t).URL())
			must(t, own.ConfigSet(t.Context(), "maxmemory", "1").Err())
			wants(t, newStore(t, own, a), OutOfMemory, true)
		}
	})
	t.Run("a replica", func(t *testing.T) {
		master, server := redistest.Start(t), redistest.Start(t)
		own := redistest.Client(t, server.URL())
		host, port, _ := net.SplitHostPort(master.Addr())
		must(t, own.ReplicaOf(t.Context(), host, port).Err())
		for _, a := range []Algorithm{TokenBucket, SlidingLog} {
			wants(t, newStore(t, own, a), ReadOnly, true)
			if n := own.PoolStats().TotalConns; n != 0 {
				t.Errorf("algorithm %d: %d connections are kept to what is no master any more", a, n)
			}
		}
	})
	t.Run("a master without the replicas it wants", func(t *testing.T) {
		own := redistest.Client(t, redistest.Start(t).URL())
		must(t, own.ConfigSet(t.Context(), "min-replicas-to-write", "1").Err())
		wants(t, newStore(t, own, TokenBucket), Misconfigured, true)
	})
	t.Run("a password that nobody gave", func(t *testing.T) {
		wants(t, newStore(t, redistest.Client(t, protected(t).URL()), TokenBucket), NoAuth, true)
	})
	t.Run("a user who may not", func(t *testing.T) {
		server := redistest.Start(t)
		must(t, redistest.Client(t, server.URL()).Do(t.Context(), "ACL", "SETUSER", "guest", "on", "nopass", "~*", "+get").Err())
		wants(t, newStore(t, redistest.Client(t, "redis://guest:x@"+server.Addr()), TokenBucket), NoPermission, true)
	})
	t.Run("another script that does not end", func(t *testing.T) {
		server := redistest.Start(t)
		own, other := redistest.Client(t, server.URL()), redistest.Client(t, server.URL())
		must(t, own.ConfigSet(t.Context(), "busy-reply-threshold", "1").Err())
		s := newStore(t, own, TokenBucket)
		done := make(chan error)
		go func() { done <- other.Eval(t.Context(), "while true do end", nil).Err() }()
		for !busy(t, own) {
		}
		wants(t, s, ScriptBusy, true)
		must(t, own.ScriptKill(t.Context()).Err())
		if err := <-done; err == nil {
			t.Error("it ended by itself")
		}
	})
	t.Run("a server that is not there", func(t *testing.T) {
		server := redistest.Start(t)
		must(t, server.Kill())
		wants(t, newStore(t, impatient(t, server.Addr()), TokenBucket), Unreachable, true)
	})
	t.Run("a server that does not answer", func(t *testing.T) {
		server := redistest.Start(t)
		own := impatient(t, server.Addr())
		must(t, own.Ping(t.Context()).Err())
		must(t, server.Pause())
		defer func() { must(t, server.Resume()) }()
		wants(t, newStore(t, own, TokenBucket), TimedOut, false)
	})
	t.Run("a connection that ends", func(t *testing.T) {
		server := redistest.Start(t)
		wire := redistest.NewProxy(t, server.Addr())
		own := impatient(t, wire.Addr())
		must(t, own.Ping(t.Context()).Err())
		wire.Set(redistest.Cut)
		if got := newStore(t, own, TokenBucket).fails(t.Context(), t); got.Class != Broken && got.Class != Unreachable {
			t.Errorf("got %v", got)
		}
	})
	t.Run("a caller who has left", func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		s := newStore(t, servers.Client(t), TokenBucket)
		if got := s.fails(ctx, t); got.Class != Cancelled || got.Class.NotRun() {
			t.Errorf("got %v", got)
		}
	})
}

// Package store says which rights a user needs; these are all, and with them all goes well.
func TestTheRightsThatAreNeeded(t *testing.T) {
	rights := map[Algorithm]string{
		TokenBucket: "+mget +get +set",
		SlidingLog:  "+zrange +zcount +zcard +zadd +zremrangebyscore +del +pttl +pexpire",
	}
	for a, needs := range rights {
		server := redistest.Start(t)
		own := redistest.Client(t, server.URL())
		user := []any{"ACL", "SETUSER", "limiter", "on", ">secret", "~test-*", "-@all", "+eval", "+evalsha", "+time"}
		for _, right := range strings.Fields(needs) {
			user = append(user, right)
		}
		must(t, own.Do(t.Context(), user...).Err())
		s := newStore(t, redistest.Client(t, "redis://limiter:secret@"+server.Addr()), a)
		law := s.mustLaw(t, per(3, 20*time.Millisecond, 3), per(2000, time.Hour, 2000))
		for i := range 100 {
			s.run(t, Check{Key: "k", Law: law, Weight: 2}, Check{Key: strconv.Itoa(i), Law: law, Kind: TakeUpTo, Weight: 2}, Check{Key: "k", Law: law, Weight: 1})
		}
		c := &clock{today + maxPeriod.Microseconds()}
		timed(t, s, c)
		s.run(t, Check{Key: "k", Law: law, Weight: 1})
		c.now = today // a log is written anew
		s.run(t, Check{Key: "k", Law: law, Weight: 1})
	}
}

// What may have run is never sent again, though the client is set to try three times more.
func TestWhatMayHaveRunIsNotSentAgain(t *testing.T) {
	for _, calls := range []int{1, 3} {
		server := redistest.Start(t)
		direct := redistest.Client(t, server.URL())
		wire := redistest.NewProxy(t, server.Addr())
		own := redis.NewClient(&redis.Options{Addr: wire.Addr(), MaxRetries: 3, ReadTimeout: 50 * time.Millisecond})
		t.Cleanup(func() { _ = own.Close() })
		var greeted [4]*redis.Conn // so that three times more need no answer before
		for i := range greeted {
			greeted[i] = own.Conn()
			must(t, greeted[i].Ping(t.Context()).Err())
		}
		for _, c := range greeted {
			must(t, c.Close())
		}
		s := newStore(t, own, TokenBucket)
		law := s.mustLaw(t, per(1000, time.Hour, 1000))
		var checks []Check
		for i := range calls * maxKeys {
			checks = append(checks, Check{Key: strconv.Itoa(i), Law: law, Weight: 1})
		}
		s.run(t, checks...)
		wire.Set(redistest.HalfOpen) // what is asked is done, and its answer lost
		answers := make([]Answer, len(checks))
		err := s.Run(t.Context(), checks, answers)
		if fault, ok := errors.AsType[*Fault](err); !ok || fault.Class.NotRun() {
			t.Fatalf("the answer was lost, and Run says %v", err)
		}
		direct2 := &Store{client: direct, config: s.config, prefix: s.prefix, script: s.script}
		direct2.plans.New = s.plans.New
		for i, a := range direct2.run(t, Check{Key: "0", Law: law, Kind: Peek}, Check{Key: strconv.Itoa(len(checks) - 1), Law: law, Kind: Peek}) {
			if a.Remaining != 998 {
				t.Errorf("%d calls: %d are left of key %d, want 998", calls, a.Remaining, i)
			}
		}
	}
}

func impatient(t *testing.T, addr string) *redis.Client {
	t.Helper()
	c := redis.NewClient(&redis.Options{
		Addr: addr, ReadTimeout: 50 * time.Millisecond, DialTimeout: 200 * time.Millisecond, DialerRetries: 1,
	})
	t.Cleanup(func() { _ = c.Close() })
	return c
}

func busy(t *testing.T, c *redis.Client) bool {
	t.Helper()
	err := c.Get(t.Context(), "x").Err()
	return err != nil && ofServer(err.Error()) == ScriptBusy
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

type addressed interface{ URL() string }

func protected(t *testing.T) addressed {
	t.Helper()
	return redistest.Start(t, "--requirepass", "secret")
}
