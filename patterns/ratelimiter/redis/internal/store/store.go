package store

import (
	"context"

	"github.com/redis/go-redis/v9"
)

// Config is how a [Store] keeps its keys.
type Config struct {
	Prefix    string // of all its keys, without braces; "" means bulwark
	Algorithm Algorithm
}

// Store asks one Redis, which may be a cluster.
type Store struct {
	client redis.UniversalClient
	config Config
}

// Law is some tiers that hold at once. It may be used by any number of goroutines.
type Law struct{ tiers []Tier }

// New returns a store that asks client. It does not dial, and never closes client.
func New(client redis.UniversalClient, c Config) (*Store, error) {
	return &Store{client: client, config: c}, nil
}

// Law returns one to four tiers as one, or a *LawError if they cannot be kept exactly.
func (s *Store) Law(tiers ...Tier) (*Law, error) { return &Law{tiers: tiers}, nil }

// Run asks all checks, and puts the answer to each in its place of answers, which is as
// long. It returns the first *Fault among them, or nil if every server answered.
func (s *Store) Run(ctx context.Context, checks []Check, answers []Answer) error { panic("to come") }
