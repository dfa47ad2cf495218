package ratelimiter

import (
	"context"
	"errors"
	"iter"
	"math/rand/v2"
	"runtime"
	"sync"
	"time"

	"github.com/bulwark-go/bulwark/actors"
	"github.com/bulwark-go/bulwark/patterns"
)

// Limiter is a caller's handle on a rate limiter. It is safe for concurrent use. Snapshot,
// Reconfigure, Operate, TryAcquire, Stop and PID are those of actors.Sharded.
//
// A key is whatever has the rates to itself: a user, a tenant, a route. The empty key is
// that of all requests without one, which have them together.
type Limiter struct {
	*actors.Sharded[Config, Snapshot]
	everybody *actors.Typed[Config, Snapshot] // the actor of requests without a key
	cfg       Config                          // that it was spawned with, with its defaults
	asked     sync.Pool                       // of inquiries
}

// Spawn starts a limiter named name. The error names every bad field of cfg.
func Spawn(guards *actors.Registry, name string, cfg Config, opts ...actors.Option) (*Limiter, error) {
	l := newLimiter(cfg)
	return actors.SpawnSharded(guards, name, l.cfg.shards(runtime.GOMAXPROCS(0)), l.spec(), l.wrap, opts...)
}

// GetOrSpawn returns the limiter of that name, or starts it. If there is one with
// another Config, or a guard of another pattern, the error is actors.ErrConflict.
func GetOrSpawn(guards *actors.Registry, name string, cfg Config, opts ...actors.Option) (*Limiter, error) {
	l := newLimiter(cfg)
	return actors.GetOrSpawnSharded(guards, name, l.cfg.shards(runtime.GOMAXPROCS(0)), l.spec(), l.wrap, opts...)
}

// Get returns the limiter of that name, if there is one.
func Get(guards *actors.Registry, name string) (*Limiter, bool) {
	return actors.Find[*Limiter](guards, name)
}

// All iterates over the registry's limiters in the order of their names.
func All(guards *actors.Registry) iter.Seq2[string, *Limiter] { return actors.Each[*Limiter](guards) }

// Allow uses a permit of key's budget if there is one now and nobody waits for it.
func (l *Limiter) Allow(key string) bool { return l.shard(key).Spend(key, 1) == nil }

// AllowN is Allow for n permits, all or none. 0 are always there, and fewer never.
func (l *Limiter) AllowN(key string, n int) bool {
	return n == 0 || l.shard(key).Spend(key, n) == nil
}

// Wait uses a permit of key's budget, as soon as it is its turn: whoever asked before is
// served before. Its error is a *LimitError, at once, if Config.MaxWaiting wait already or
// its turn is known to come too late for ctx's deadline or Config.MaxWait; and ctx's, if
// ctx ends sooner. Without Config.MaxWaiting nobody waits.
func (l *Limiter) Wait(ctx context.Context, key string) error { return l.WaitN(ctx, key, 1) }

// WaitN is Wait for n permits, all at once. More than there can ever be are refused with a
// *WeightError.
func (l *Limiter) WaitN(ctx context.Context, key string, n int) error {
	if n == 0 {
		return ctx.Err()
	}
	_, err := l.shard(key).AcquireFor(ctx, patterns.Request{Key: key, Weight: n, Spend: true})
	return err
}

// Acquire is AcquireFor for a request without a key.
func (l *Limiter) Acquire(ctx context.Context) (patterns.Permit, error) {
	return l.everybody.Acquire(ctx)
}

// AcquireFor takes a permit as Wait does, to be reported. If it is released instead, it
// gives back what it used.
func (l *Limiter) AcquireFor(ctx context.Context, r patterns.Request) (patterns.Permit, error) {
	return l.shard(r.Key).AcquireFor(ctx, r)
}

// Peek says what Take would, and uses nothing.
func (l *Limiter) Peek(ctx context.Context, key string) (Answer, error) {
	t, err := l.inquire(ctx, peeks, key, 1)
	return t.Answer, err
}

// Take is AllowN that says how much is left, and when there is more. An error means that
// there is no answer: ctx ended, or the actor has stopped or failed.
func (l *Limiter) Take(ctx context.Context, key string, n int) (Answer, error) {
	if n == 0 {
		a, err := l.Peek(ctx, key)
		a.Allowed, a.RetryAfter = true, 0
		return a, err
	}
	t, err := l.inquire(ctx, takes, key, n)
	return t.Answer, err
}

// TakeUpTo uses as many permits as there are, at most n. The error is as for Take.
func (l *Limiter) TakeUpTo(ctx context.Context, key string, n int) (Taken, error) {
	if n <= 0 {
		a, err := l.Take(ctx, key, min(n, 0))
		a.Allowed = false
		return Taken{0, a}, err
	}
	return l.inquire(ctx, takesUpTo, key, n)
}

// Reserve books n permits for the earliest time at which they may be used: 0 of within
// means no later than Config.MaxWait, or without one however late, else no later than that
// from now. If it is too late, or callers wait, the error is a *LimitError. Whoever
// comes after has to wait for them: cancel what is not going to be used.
func (l *Limiter) Reserve(ctx context.Context, key string, n int, within time.Duration) (Reservation, error) {
	v, err := l.shard(key).Consult(ctx, Reserve{Key: key, Weight: n, Within: within})
	if err != nil {
		return Reservation{}, err
	}
	return v.(Reservation), nil
}

// CancelReservation gives back what v booked: all of it before its time, and then less and
// less. It returns false if there was nothing left to give back, as at the second time.
func (l *Limiter) CancelReservation(ctx context.Context, v Reservation) (bool, error) {
	c, err := l.shard(v.Key).Consult(ctx, CancelReservation{v})
	if err != nil {
		return false, err
	}
	return c.(Cancelled).Refunded, nil
}

// Override gives key rates of its own from now on, and keeps what it used; see the question
// of that name.
func (l *Limiter) Override(ctx context.Context, key string, rates ...Rate) error {
	_, err := l.shard(key).Consult(ctx, Override{Key: key, Tiers: Several(rates...)})
	return err
}

// RemoveOverride lets the Config's rates hold for key again. It returns false if key had
// none of its own.
func (l *Limiter) RemoveOverride(ctx context.Context, key string) (bool, error) {
	o, err := l.shard(key).Consult(ctx, RemoveOverride{Key: key})
	if err != nil {
		return false, err
	}
	return o.(Overridden).Before, nil
}

// Reset forgets what was used, by all keys, and ends a forced state.
func (l *Limiter) Reset(ctx context.Context) error {
	return l.Operate(ctx, patterns.Operation{Kind: patterns.Reset})
}

// shard returns the actor that has key to itself.
func (l *Limiter) shard(key string) *actors.Typed[Config, Snapshot] {
	if key == "" {
		return l.everybody
	}
	return l.Shard(key)
}

// inquire asks without allocating.
func (l *Limiter) inquire(ctx context.Context, kind inquiryKind, key string, n int) (Taken, error) {
	q := l.asked.Get().(*inquiry)
	q.kind, q.key, q.weight = kind, key, n
	if _, err := l.shard(key).Consult(ctx, q); err != nil {
		// A turn that is still to come may write to q: it is not used again.
		return l.unanswered(ctx, kind, key, n, err)
	}
	t := q.Taken
	*q = inquiry{}
	l.asked.Put(q)
	return t, nil
}

// unanswered has the FailPolicy decide if the actor has failed for good.
func (l *Limiter) unanswered(ctx context.Context, kind inquiryKind, key string, n int, err error) (t Taken, _ error) {
	if kind == peeks || !errors.Is(err, actors.ErrUnavailable) {
		return t, err
	}
	if _, err := l.shard(key).AcquireFor(ctx, patterns.Request{Key: key, NoWait: true, Spend: true}); err != nil {
		return t, err
	}
	t.N, t.Allowed = n, true
	return t, nil
}

func newLimiter(cfg Config) *Limiter {
	return &Limiter{cfg: cfg.withDefaults(), asked: sync.Pool{New: func() any { return new(inquiry) }}}
}

func (l *Limiter) wrap(s *actors.Sharded[Config, Snapshot]) *Limiter {
	l.Sharded, l.everybody = s, s.Shard("")
	return l
}

func (l *Limiter) spec() actors.Spec[Config, Snapshot] {
	return actors.Spec[Config, Snapshot]{
		Pattern: pattern, Config: l.cfg, Validate: l.cfg.successor,
		Mode: l.cfg.Mode, OnFailure: l.cfg.OnFailure, Merge: merge,
		New: func(o actors.Origin) actors.Machine[Config, Snapshot] {
			return NewMachine(Params{
				Name: o.Name, Origin: o.Time, Now: o.Now, Config: l.cfg,
				Seed: [2]uint64{rand.Uint64(), rand.Uint64()}, Shard: o.Index, Shards: o.Of,
			})
		},
	}
}

// Key is the limiter of one key: a patterns.Guard, so that patterns.Do, a pipeline or a
// middleware can be given it.
type Key struct {
	limiter *Limiter
	key     string
}

var (
	_ patterns.Guard = (*Limiter)(nil)
	_ patterns.Guard = Key{}
)

// For returns the limiter of one key, which need not be known. It costs nothing, and lasts
// as long as l.
func (l *Limiter) For(key string) Key { return Key{l, key} }

// Name returns the limiter's name.
func (k Key) Name() string { return k.limiter.Name() }

// Terms returns the limiter's.
func (k Key) Terms() *patterns.Terms { return k.limiter.Terms() }

// Allow is Limiter.Allow.
func (k Key) Allow() bool { return k.limiter.Allow(k.key) }

// Wait is Limiter.Wait.
func (k Key) Wait(ctx context.Context) error { return k.limiter.Wait(ctx, k.key) }

// Acquire takes a permit of the key's budget.
func (k Key) Acquire(ctx context.Context) (patterns.Permit, error) {
	return k.limiter.AcquireFor(ctx, patterns.Request{Key: k.key})
}

// AcquireFor is Acquire for a request with a weight or a priority. Its own key means
// nothing.
func (k Key) AcquireFor(ctx context.Context, r patterns.Request) (patterns.Permit, error) {
	r.Key = k.key
	return k.limiter.AcquireFor(ctx, r)
}

// Delay is how long from now the reservation may be used; 0 if it may by now.
func (v Reservation) Delay() time.Duration { return max(0, time.Until(v.At)) }
