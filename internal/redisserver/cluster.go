package redisserver

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"
)

// Slots is how many hash slots a Cluster has.
const Slots = 16384

// Cluster is a Redis Cluster of masters, with the slots in equal shares. Its methods may
// be called from any goroutine.
type Cluster struct {
	nodes []*Server
	ids   []string // of the nodes
}

// StartCluster starts one of so many masters, without replicas, and returns when every
// node serves.
func StartCluster(masters int) (*Cluster, error) {
	c := &Cluster{}
	for range masters {
		s, err := Start("--cluster-enabled", "yes", "--cluster-node-timeout", "2000")
		if err != nil {
			return nil, errors.Join(err, c.Stop())
		}
		c.nodes = append(c.nodes, s)
	}
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	if err := c.join(ctx); err != nil {
		return nil, errors.Join(fmt.Errorf("making a cluster: %w", err), c.Stop())
	}
	return c, nil
}

func (c *Cluster) join(ctx context.Context) error {
	for i, s := range c.nodes {
		share := func(i int) int { return i * Slots / len(c.nodes) }
		err := s.do(func(rdb *redis.Client) error {
			id, err := rdb.Do(ctx, "CLUSTER", "MYID").Text()
			if err != nil {
				return err
			}
			c.ids = append(c.ids, id)
			// Epochs that differ from the start spare them a quarrel.
			if err := rdb.Do(ctx, "CLUSTER", "SET-CONFIG-EPOCH", i+1).Err(); err != nil {
				return err
			}
			if err := rdb.ClusterAddSlotsRange(ctx, share(i), share(i+1)-1).Err(); err != nil {
				return err
			}
			host, port, _ := strings.Cut(c.nodes[0].addr, ":")
			return rdb.ClusterMeet(ctx, host, port).Err()
		})
		if err != nil {
			return err
		}
	}
	for _, s := range c.nodes {
		err := s.do(func(rdb *redis.Client) error {
			return until(ctx, func() (bool, error) {
				info, err := rdb.ClusterInfo(ctx).Result()
				return strings.Contains(info, "cluster_state:ok") &&
					strings.Contains(info, fmt.Sprintf("cluster_known_nodes:%d\r", len(c.nodes))), err
			})
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// Nodes returns its masters.
func (c *Cluster) Nodes() []*Server { return c.nodes }

// Addrs returns where its nodes are.
func (c *Cluster) Addrs() []string {
	addrs := make([]string, len(c.nodes))
	for i, s := range c.nodes {
		addrs[i] = s.addr
	}
	return addrs
}

// Slot returns the slot of a key.
func (c *Cluster) Slot(ctx context.Context, key string) (slot int, err error) {
	err = c.nodes[0].do(func(rdb *redis.Client) error {
		n, err := rdb.ClusterKeySlot(ctx, key).Result()
		slot = int(n)
		return err
	})
	return slot, err
}

// Owner returns the node that serves a slot, as an index of Nodes.
func (c *Cluster) Owner(ctx context.Context, slot int) (owner int, err error) {
	err = c.nodes[0].do(func(rdb *redis.Client) error {
		table, err := rdb.ClusterNodes(ctx).Result()
		if err == nil {
			owner, err = ownerIn(table, c.ids, slot)
		}
		return err
	})
	return owner, err
}

// ownerIn reads what CLUSTER NODES says: a line for each node, the first word of which is
// its id and those from the ninth on the slots that it serves.
func ownerIn(table string, ids []string, slot int) (int, error) {
	for line := range strings.Lines(table) {
		words := strings.Fields(line)
		for _, w := range words[min(8, len(words)):] {
			first, last, isRange := strings.Cut(w, "-")
			if !isRange {
				last = first
			}
			from, err := strconv.Atoi(first)
			to, err2 := strconv.Atoi(last)
			if err == nil && err2 == nil && from <= slot && slot <= to { // else it is a slot on its way
				return slices.Index(ids, words[0]), nil
			}
		}
	}
	return 0, fmt.Errorf("no node serves slot %d", slot)
}

// Migrating has a slot on its way to another node: what is not on the old one any more is
// answered with ASK. Move ends it.
func (c *Cluster) Migrating(ctx context.Context, slot, to int) error {
	from, err := c.Owner(ctx, slot)
	if err != nil || from == to {
		return err
	}
	if err := c.nodes[to].cluster(ctx, "SETSLOT", slot, "IMPORTING", c.ids[from]); err != nil {
		return err
	}
	return c.nodes[from].cluster(ctx, "SETSLOT", slot, "MIGRATING", c.ids[to])
}

// Move moves a slot and its keys to another node, as resharding does. Clients that ask the
// old one are answered with MOVED.
func (c *Cluster) Move(ctx context.Context, slot, to int) error {
	from, err := c.Owner(ctx, slot)
	if err != nil || from == to {
		return err
	}
	if err := c.Migrating(ctx, slot, to); err != nil {
		return err
	}
	if err := c.carry(ctx, slot, from, to); err != nil {
		return err
	}
	// The new owner first: it is the one that everybody is to believe.
	for _, i := range append([]int{to, from}, c.others(from, to)...) {
		if err := c.nodes[i].cluster(ctx, "SETSLOT", slot, "NODE", c.ids[to]); err != nil {
			return err
		}
	}
	return nil
}

// Carry moves one key whose slot is Migrating, and leaves the others where they are.
func (c *Cluster) Carry(ctx context.Context, key string, from, to int) error {
	return c.nodes[from].do(func(rdb *redis.Client) error { return c.migrate(ctx, rdb, key, to) })
}

func (c *Cluster) migrate(ctx context.Context, from *redis.Client, key string, to int) error {
	host, port, _ := strings.Cut(c.nodes[to].addr, ":")
	return from.Migrate(ctx, host, port, key, 0, patience).Err()
}

// carry moves the keys of a slot.
func (c *Cluster) carry(ctx context.Context, slot, from, to int) error {
	return c.nodes[from].do(func(rdb *redis.Client) error {
		for {
			keys, err := rdb.ClusterGetKeysInSlot(ctx, slot, 100).Result()
			if err != nil || len(keys) == 0 {
				return err
			}
			for _, key := range keys {
				if err := c.migrate(ctx, rdb, key, to); err != nil {
					return err
				}
			}
		}
	})
}

func (c *Cluster) others(a, b int) (others []int) {
	for i := range c.nodes {
		if i != a && i != b {
			others = append(others, i)
		}
	}
	return others
}

// Stop ends all of it.
func (c *Cluster) Stop() error {
	var failed error
	for _, s := range c.nodes {
		failed = errors.Join(failed, s.Stop())
	}
	return failed
}

func (s *Server) cluster(ctx context.Context, args ...any) error {
	return s.do(func(rdb *redis.Client) error {
		return rdb.Do(ctx, append([]any{"CLUSTER"}, args...)...).Err()
	})
}

// do runs f with a client of this server.
func (s *Server) do(f func(*redis.Client) error) error {
	rdb := redis.NewClient(&redis.Options{Addr: s.addr, Protocol: 2, MaxRetries: -1})
	return errors.Join(f(rdb), rdb.Close())
}

// until waits for what another process does in its own time.
func until(ctx context.Context, done func() (bool, error)) error {
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for {
		ok, err := done()
		if ok || err != nil {
			return err
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}
