package store

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"

	"github.com/redis/go-redis/v9"
)

// Config is how a [Store] keeps its keys.
type Config struct {
	// Prefix is what all its keys begin with, without braces and at most 64 bytes. "" means
	// bulwark. Stores that share a Prefix and an Algorithm share their limits.
	Prefix    string
	Algorithm Algorithm
	// OneSlot has no call ask for keys of several slots. With a client of a Cluster that is
	// always so; a client of a proxy in front of one needs it.
	OneSlot bool
}

// Store asks one Redis, which may be a cluster.
type Store struct {
	client redis.UniversalClient
	config Config
	prefix string // of names, up to the hash tag
	spread spread
	script *script
	plans  sync.Pool // of *plan
}

// spread is which keys one call of the script can have.
type spread uint8

const (
	together spread = iota // any
	bySlot                 // those of one slot
	apart                  // one
)

// New returns a store that asks client. It does not dial, and never closes client.
func New(client redis.UniversalClient, c Config) (*Store, error) {
	if c.Prefix == "" {
		c.Prefix = "bulwark"
	}
	switch {
	case client == nil:
		return nil, errors.New("redis limiter: there is no client")
	case len(c.Prefix) > 64 || strings.ContainsAny(c.Prefix, "{}"):
		return nil, fmt.Errorf("redis limiter: the prefix %.80q has braces or more than 64 bytes", c.Prefix)
	case c.Algorithm > SlidingLog:
		return nil, fmt.Errorf("redis limiter: there is no algorithm %d", c.Algorithm)
	}
	s := &Store{client: client, config: c}
	s.script, s.prefix = newScript(bucketText), c.Prefix+":1:bucket:" // 1 is the version of what is kept
	if c.Algorithm == SlidingLog {
		s.script, s.prefix = newScript(logText), c.Prefix+":1:log:"
	}
	switch client.(type) {
	case *redis.Client:
		if c.OneSlot {
			s.spread = bySlot
		}
	case *redis.Ring: // whose servers are not found by slot
		s.spread = apart
	default:
		s.spread = bySlot
	}
	s.plans.New = func() any { return &plan{last: make(map[string]int32)} }
	return s, nil
}

// Name returns the name under which Redis has a user's key.
func (s *Store) Name(key string) string { return string(appendKey(nil, s.prefix, key)) }

// Run asks all checks, and puts the answer to each in its place of answers, which is as
// long. It returns the first *Fault among them, or nil if every server answered.
//
// Nothing is ever asked a second time unless a server said that it had not run it. So after
// a Fault that may have run, some of what was asked may count without anybody having it.
func (s *Store) Run(ctx context.Context, checks []Check, answers []Answer) error {
	if len(checks) != len(answers) {
		return &ArgumentError{Problem: fmt.Sprintf("there are %d checks and room for %d answers", len(checks), len(answers))}
	}
	p := s.plans.Get().(*plan)
	defer s.plans.Put(p)
	p.make(s, checks, answers)
	s.ask(ctx, p, checks)
	var first error
	for i := range p.calls {
		if err := s.settle(p, &p.calls[i], checks, answers); err != nil && first == nil {
			first = err
		}
	}
	p.clear()
	return first
}

// settle puts the answers to the checks of c in their places.
func (s *Store) settle(p *plan, c *call, checks []Check, answers []Answer) (first error) {
	if c.err != nil {
		fault := newFault(c.err)
		for _, e := range p.entries[c.from:c.to] {
			p.fail(&e, answers, fault)
		}
		return fault
	}
	n := numbers{rest: c.reply}
	now := n.next()
	for i := c.from; i < c.to; i++ {
		e := &p.entries[i]
		err := s.answer(p, e, &n, now, checks, answers)
		if n.bad {
			err = &Fault{Class: Protocol, Err: errors.New("the script gave an answer that makes no sense")}
		}
		if err == nil {
			continue
		}
		p.fail(e, answers, err)
		if fault, ok := errors.AsType[*Fault](err); ok && first == nil {
			first = fault
		}
	}
	return first
}

// answer reads what the script says of e.
func (s *Store) answer(p *plan, e *entry, n *numbers, now int64, checks []Check, answers []Answer) error {
	switch status := n.byte(); status {
	case 0, 3:
		if s.config.Algorithm == SlidingLog {
			n.bad = n.bad || status == 3
			p.answerLog(e, n, now, checks, answers)
			return nil
		}
		return p.answerBucket(e, n, status == 3, now, checks, answers)
	case 1:
		return &KeyError{Key: e.name, Problem: "the value is none of this limiter"}
	case 2:
		return keyFault(e.name, n.text())
	}
	n.bad = true
	return nil
}
