package redistest

import (
	"context"
	"errors"
	"fmt"
	"os"
	"sync"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"go.uber.org/goleak"

	"github.com/bulwark-go/bulwark/internal/redisserver"
)

// address is the environment variable with the URL of a server to use.
const address = "BULWARK_REDIS_URL"

// Tests import one package.
type (
	// Server is redisserver's.
	Server = redisserver.Server
	// Cluster is redisserver's.
	Cluster = redisserver.Cluster
	// Sentinel is redisserver's.
	Sentinel = redisserver.Sentinel
)

// MasterName is what a Sentinel calls the pair that it watches.
const MasterName = redisserver.MasterName

// Servers are what the tests of one binary share. Each is started when it is first asked
// for. The zero value is ready.
type Servers struct {
	mu    sync.Mutex
	given struct { // by BULWARK_REDIS_URL
		asked bool
		err   error
	}
	single  string // our own: its URL
	cluster *Cluster
	stops   []func() error
}

// Main runs the tests, stops what was started, looks for goroutines that were left, and exits.
func (s *Servers) Main(m *testing.M, options ...goleak.Option) {
	goleak.VerifyTestMain(runner{m, s}, options...)
}

type runner struct {
	*testing.M
	servers *Servers
}

// Run implements goleak.TestingM.
func (r runner) Run() int {
	code := r.M.Run()
	r.servers.mu.Lock()
	defer r.servers.mu.Unlock()
	var failed error
	for _, stop := range r.servers.stops {
		failed = errors.Join(failed, stop())
	}
	if failed != nil {
		println("stopping Redis:", failed.Error())
		code = max(code, 1)
	}
	return code
}

// Single returns the URL of a server that tests share, perhaps with others than them: use
// keys that nobody else has, and break nothing.
func (s *Servers) Single(t testing.TB) string {
	t.Helper()
	url := os.Getenv(address)
	if url == "" {
		return s.Own(t)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.given.asked {
		s.given.asked, s.given.err = true, answers(url)
	}
	if s.given.err != nil {
		t.Fatalf("%s: %v", address, s.given.err)
	}
	return url
}

// patience is how long a server that runs already may take to answer.
const patience = 3 * time.Second

// answers reports what keeps a server from being of use to tests.
func answers(url string) error {
	options, err := redis.ParseURL(url)
	if err != nil {
		return fmt.Errorf("it is no URL of a Redis, such as redis://user:password@127.0.0.1:6379/0: %w", err)
	}
	options.MaxRetries, options.DialerRetries, options.DialTimeout, options.ReadTimeout = -1, 1, patience, patience
	client := redis.NewClient(options)
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	if err := errors.Join(client.Ping(ctx).Err(), client.Close()); err != nil {
		return fmt.Errorf("there is no Redis at %s that can be used: %w; start it, or unset the variable and have tests start their own", options.Addr, err)
	}
	return nil
}

// Own returns the URL of a server that only these tests share, whatever BULWARK_REDIS_URL says:
// flush its scripts, and use keys that no other test has.
func (s *Servers) Own(t testing.TB) string {
	t.Helper()
	leaveOut(t)
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.single == "" {
		server, err := redisserver.Start()
		if err != nil {
			t.Fatal(err)
		}
		s.single = server.URL()
		s.stops = append(s.stops, server.Stop)
	}
	return s.single
}

// Client returns a client of Single, closed with the test.
func (s *Servers) Client(t testing.TB) *redis.Client {
	t.Helper()
	return Client(t, s.Single(t))
}

// Cluster returns a Cluster of three masters that tests share: move slots, but use keys of
// your own, and take no node down.
func (s *Servers) Cluster(t testing.TB) *Cluster {
	t.Helper()
	leaveOut(t)
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.cluster == nil {
		cluster, err := redisserver.StartCluster(3)
		if err != nil {
			t.Fatal(err)
		}
		s.cluster = cluster
		s.stops = append(s.stops, cluster.Stop)
	}
	return s.cluster
}

// Start starts a server for one test, with args added to its command line.
func Start(t testing.TB, args ...string) *Server {
	t.Helper()
	leaveOut(t)
	server, err := redisserver.Start(args...)
	return started(t, server, err)
}

// StartTLS starts a server for one test that also speaks TLS, with the certificate and key of
// those PEM files.
func StartTLS(t testing.TB, cert, key string) *Server {
	t.Helper()
	leaveOut(t)
	server, err := redisserver.StartTLS(cert, key)
	return started(t, server, err)
}

// StartCluster starts a Cluster of so many masters for one test.
func StartCluster(t testing.TB, masters int) *Cluster {
	t.Helper()
	leaveOut(t)
	cluster, err := redisserver.StartCluster(masters)
	return started(t, cluster, err)
}

// StartSentinel starts a pair of servers with a Sentinel for one test.
func StartSentinel(t testing.TB) *Sentinel {
	t.Helper()
	leaveOut(t)
	sentinel, err := redisserver.StartSentinel()
	return started(t, sentinel, err)
}

func started[S interface{ Stop() error }](t testing.TB, s S, err error) S {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Stop(); err != nil {
			t.Errorf("stopping Redis: %v", err)
		}
	})
	return s
}

// Client returns a client of the server at url, closed with the test.
func Client(t testing.TB, url string) *redis.Client {
	t.Helper()
	options, err := redis.ParseURL(url)
	if err != nil {
		t.Fatal(err)
	}
	client := redis.NewClient(options)
	t.Cleanup(func() {
		if err := client.Close(); err != nil {
			t.Errorf("closing the client of %s: %v", url, err)
		}
	})
	return client
}

// leaveOut skips a test that needs servers of its own where the user wants none.
func leaveOut(t testing.TB) {
	t.Helper()
	if testing.Short() {
		t.Skip("left out with -short: it starts redis-server")
	}
	if url := os.Getenv(address); url != "" {
		if _, err := redisserver.Find(); err != nil {
			t.Skipf("left out: the server of %s is not ours to break, and %v", address, err)
		}
	}
}
