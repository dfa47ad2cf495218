package redisserver

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/redis/go-redis/v9"
)

// MasterName is what Sentinel calls the pair that it watches.
const MasterName = "bulwark"

// Sentinel is a master, its replica, and one Sentinel that watches both: with one there
// is no election that could be lost, and a failover takes as long as it says. Its methods
// may be called from any goroutine.
type Sentinel struct {
	servers [2]*Server
	watch   *Server
}

// conf of the Sentinel, which writes to the file.
const conf = `port %d
bind 127.0.0.1
dir %s
sentinel monitor %s %s %s 1
sentinel down-after-milliseconds %[3]s 500
sentinel failover-timeout %[3]s 3000
`

// StartSentinel starts the three, and returns when the replica follows and Sentinel
// knows it.
func StartSentinel() (*Sentinel, error) {
	n := &Sentinel{}
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	if err := n.start(ctx); err != nil {
		return nil, errors.Join(fmt.Errorf("starting a pair with a Sentinel: %w", err), n.Stop())
	}
	return n, nil
}

func (n *Sentinel) start(ctx context.Context) (err error) {
	if n.servers[0], err = Start(); err != nil {
		return err
	}
	host, port, _ := strings.Cut(n.servers[0].addr, ":")
	if n.servers[1], err = Start("--replicaof", host+" "+port); err != nil {
		return err
	}
	if err := n.servers[1].follows(ctx, n.servers[0]); err != nil {
		return err
	}
	n.watch, err = start(n.servers[0].path, "+monitor", func(own int, dir string) ([]string, error) {
		file := filepath.Join(dir, "sentinel.conf")
		err := os.WriteFile(file, fmt.Appendf(nil, conf, own, dir, MasterName, host, port), 0o600)
		return []string{file, "--sentinel"}, err
	})
	if err != nil {
		return err
	}
	return n.watched(ctx)
}

// watched waits until the Sentinel holds the replica for fit to take over.
func (n *Sentinel) watched(ctx context.Context) error {
	return n.watch.do(func(rdb *redis.Client) error {
		// It asks every 10 s otherwise. Before Redis 7 it cannot be told, and takes that long.
		_ = rdb.Do(ctx, "SENTINEL", "DEBUG", "info-period", 200).Err()
		return until(ctx, func() (bool, error) {
			replicas, err := rdb.Do(ctx, "SENTINEL", "REPLICAS", MasterName).Slice()
			if err != nil || len(replicas) != 1 {
				return false, err
			}
			facts := fmt.Sprint(replicas[0]) // a list of names and values
			return strings.Contains(facts, "master-link-status ok") && strings.Contains(facts, "flags slave "), nil
		})
	})
}

// follows waits until s is in step with its master, and both say so: what the master is
// told before that does not go to s at once.
func (s *Server) follows(ctx context.Context, master *Server) error {
	if err := s.replicates(ctx, "master_link_status:up"); err != nil {
		return err
	}
	return master.replicates(ctx, "state=online")
}

func (s *Server) replicates(ctx context.Context, state string) error {
	return s.do(func(rdb *redis.Client) error {
		return until(ctx, func() (bool, error) {
			info, err := rdb.Info(ctx, "replication").Result()
			return strings.Contains(info, state), err
		})
	})
}

// Addr returns where the Sentinel is, for redis.FailoverOptions.
func (n *Sentinel) Addr() string { return n.watch.addr }

// Servers returns the two that it watches.
func (n *Sentinel) Servers() []*Server { return n.servers[:] }

// Master returns the server that Sentinel holds for the master.
func (n *Sentinel) Master(ctx context.Context) (*Server, error) {
	addr, err := n.masterAddr(ctx)
	if err != nil {
		return nil, err
	}
	for _, s := range n.servers {
		if s.addr == addr {
			return s, nil
		}
	}
	return nil, fmt.Errorf("the Sentinel names %s, which is neither of the two", addr)
}

// Replica returns the other one.
func (n *Sentinel) Replica(ctx context.Context) (*Server, error) {
	master, err := n.Master(ctx)
	if err != nil {
		return nil, err
	}
	return n.other(master), nil
}

func (n *Sentinel) other(s *Server) *Server {
	if s == n.servers[0] {
		return n.servers[1]
	}
	return n.servers[0]
}

func (n *Sentinel) masterAddr(ctx context.Context) (addr string, err error) {
	err = n.watch.do(func(rdb *redis.Client) error {
		parts, err := rdb.Do(ctx, "SENTINEL", "GET-MASTER-ADDR-BY-NAME", MasterName).StringSlice()
		if err == nil && len(parts) != 2 {
			err = fmt.Errorf("the Sentinel knows no master, and says %q", parts)
		}
		if err == nil {
			addr = parts[0] + ":" + parts[1]
		}
		return err
	})
	return addr, err
}

// Failover has the replica take over from a master that runs, and returns when it has.
func (n *Sentinel) Failover(ctx context.Context) error {
	return n.takeover(ctx, func(*Server) error {
		return n.watch.do(func(rdb *redis.Client) error {
			return rdb.Do(ctx, "SENTINEL", "FAILOVER", MasterName).Err()
		})
	})
}

// Rejoin has the other of the two follow the master: after a Failover, or the Restart of
// one that was killed. Sentinel would see to it too, in its own time.
func (n *Sentinel) Rejoin(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	master, err := n.Master(ctx)
	if err != nil {
		return err
	}
	replica := n.other(master)
	err = replica.do(func(rdb *redis.Client) error {
		host, port, _ := strings.Cut(master.addr, ":")
		return rdb.ReplicaOf(ctx, host, port).Err()
	})
	if err == nil {
		err = replica.follows(ctx, master)
	}
	if err == nil {
		err = n.watched(ctx)
	}
	if err != nil {
		return fmt.Errorf("having %s follow %s: %w", replica.addr, master.addr, err)
	}
	return nil
}

// KillMaster kills the master, and returns when the replica has taken over. The one that
// was killed stays down until its Restart.
func (n *Sentinel) KillMaster(ctx context.Context) error { return n.takeover(ctx, (*Server).Kill) }

func (n *Sentinel) takeover(ctx context.Context, begin func(master *Server) error) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	old, err := n.Master(ctx)
	if err != nil {
		return err
	}
	if err := begin(old); err != nil {
		return err
	}
	err = until(ctx, func() (bool, error) {
		addr, err := n.masterAddr(ctx)
		return addr != old.addr, err
	})
	if err != nil {
		return fmt.Errorf("waiting for the replica to take over from %s: %w", old.addr, err)
	}
	return nil
}

// Stop ends all of it.
func (n *Sentinel) Stop() error {
	var failed error
	for _, s := range []*Server{n.watch, n.servers[0], n.servers[1]} {
		if s != nil {
			failed = errors.Join(failed, s.Stop())
		}
	}
	return failed
}
