package redistest

import (
	"errors"
	"os"
	"sync"
	"testing"

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
	mu      sync.Mutex
	single  string // its URL
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
	if url := os.Getenv(address); url != "" {
		return url
	}
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
			t.Skipf("left out: the server at %s (%s) is not ours to break, and %v", url, address, err)
		}
	}
}
