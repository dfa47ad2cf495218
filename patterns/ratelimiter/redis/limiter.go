package redislimiter

import (
	"context"
	"errors"
	"iter"
	"math/rand/v2"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/bulwark-go/bulwark/actors"
	"github.com/bulwark-go/bulwark/patterns"
	"github.com/bulwark-go/bulwark/patterns/ratelimiter"
	"github.com/bulwark-go/bulwark/patterns/ratelimiter/redis/internal/store"
)

// Limiter is a caller's handle on a rate limiter that instances share. It is safe for
// concurrent use. Snapshot, Reconfigure, Operate, TryAcquire and PID are those of
// actors.Typed.
//
// Each method that asks waits for Redis, no longer than Config.Timeout.
type Limiter struct {
	*actors.Typed[Config, Snapshot]
	cfg    Config
	client redis.UniversalClient
	dialed bool // and is to be closed
}

// Spawn starts a limiter named name. The error names every bad field of cfg. Redis need not
// answer yet.
func Spawn(guards *actors.Registry, name string, cfg Config, opts ...actors.Option) (*Limiter, error) {
	return start(actors.Spawn[Config, Snapshot, *Limiter], guards, name, cfg, opts)
}

// GetOrSpawn returns the limiter of that name, or starts it. If there is one with another
// Config, or a guard of another pattern, the error is actors.ErrConflict.
func GetOrSpawn(guards *actors.Registry, name string, cfg Config, opts ...actors.Option) (*Limiter, error) {
	return start(actors.GetOrSpawn[Config, Snapshot, *Limiter], guards, name, cfg, opts)
}

type spawner func(*actors.Registry, string, actors.Spec[Config, Snapshot], func(*actors.Typed[Config, Snapshot]) *Limiter, ...actors.Option) (*Limiter, error)

func start(spawn spawner, guards *actors.Registry, name string, cfg Config, opts []actors.Option) (*Limiter, error) {
	cfg = cfg.named(name).withDefaults()
	l := &Limiter{cfg: cfg}
	ask, err := l.connect()
	if err != nil {
		return nil, err
	}
	g, err := spawn(guards, name, l.spec(ask), func(t *actors.Typed[Config, Snapshot]) *Limiter {
		l.Typed = t
		return l
	}, opts...)
	if err != nil || g != l {
		l.hangUp()
	}
	return g, err
}

// connect makes what asks Redis. It does not dial yet.
func (l *Limiter) connect() (run, error) {
	if err := l.cfg.Validate(); err != nil {
		return nil, err
	}
	l.client = l.cfg.Client
	if l.client == nil {
		l.client, l.dialed = dial(l.cfg.URL, l.cfg.callTimeout()), true
	}
	s, err := store.New(l.client, store.Config{Prefix: l.cfg.Prefix, Algorithm: algorithmOf(l.cfg.Algorithm)})
	if err != nil {
		l.hangUp()
		return nil, &patterns.ConfigError{Pattern: pattern, Field: "Client", Value: l.client, Problem: err.Error()}
	}
	return s.Run, nil
}

func (l *Limiter) hangUp() {
	if l.dialed {
		_ = l.client.Close() // there is nothing to be done about it
	}
}

func (l *Limiter) spec(ask run) actors.Spec[Config, Snapshot] {
	return actors.Spec[Config, Snapshot]{
		Pattern: pattern, Config: l.cfg, Validate: l.cfg.successor, Mode: l.cfg.Mode, OnFailure: l.cfg.OnFailure,
		Close: l.hangUp,
		New: func(o actors.Origin) actors.Machine[Config, Snapshot] {
			return newMachine(params{
				name: o.Name, origin: o.Time, now: o.Now, config: l.cfg, run: ask, seed: [2]uint64{rand.Uint64(), rand.Uint64()},
				unfit: unfit(l.cfg.Client, l.cfg.callTimeout()), habits: habitsOf(l.client),
			})
		},
	}
}

// Get returns the limiter of that name, if there is one.
func Get(guards *actors.Registry, name string) (*Limiter, bool) {
	return actors.Find[*Limiter](guards, name)
}

// All iterates over the registry's shared limiters in the order of their names.
func All(guards *actors.Registry) iter.Seq2[string, *Limiter] { return actors.Each[*Limiter](guards) }

// Allow uses a permit of key if there is one now and nobody waits for it.
func (l *Limiter) Allow(key string) bool { return l.Spend(key, 1) == nil }

// AllowN is Allow for n permits, all or none. 0 are always there, and fewer never.
func (l *Limiter) AllowN(key string, n int) bool { return n == 0 || l.Spend(key, n) == nil }

// Wait uses a permit of key as soon as it is its turn, as far as Config.MaxWaiting and
// MaxWait let it; else it is Allow with an error.
func (l *Limiter) Wait(ctx context.Context, key string) error { return l.WaitN(ctx, key, 1) }

// WaitN is Wait for n permits, all at once.
func (l *Limiter) WaitN(ctx context.Context, key string, n int) error {
	if n == 0 {
		return ctx.Err()
	}
	_, err := l.AcquireFor(ctx, patterns.Request{Key: key, Weight: n, Spend: true})
	return err
}

// Peek says what Take would, and uses nothing. Leases of this instance and of others count
// as used.
func (l *Limiter) Peek(ctx context.Context, key string) (ratelimiter.Answer, error) {
	return consult[ratelimiter.Answer](ctx, l, ratelimiter.Peek{Key: key})
}

// Take is AllowN that says how much is left, and when there is more.
func (l *Limiter) Take(ctx context.Context, key string, n int) (ratelimiter.Answer, error) {
	if n == 0 {
		a, err := l.Peek(ctx, key)
		a.Allowed, a.RetryAfter = true, 0
		return a, err
	}
	return consult[ratelimiter.Answer](ctx, l, ratelimiter.Take{Key: key, Weight: n})
}

// TakeUpTo uses as many permits as there are, at most n.
func (l *Limiter) TakeUpTo(ctx context.Context, key string, n int) (ratelimiter.Taken, error) {
	if n <= 0 {
		a, err := l.Peek(ctx, key)
		a.Allowed = false
		return ratelimiter.Taken{Answer: a}, err
	}
	return consult[ratelimiter.Taken](ctx, l, ratelimiter.TakeUpTo{Key: key, Weight: n})
}

// Reserve books n permits for the earliest time at which they may be used: 0 of within means
// no later than Config.MaxWait, or without one however late, else no later than that from
// now. If it is too late, callers wait here, or 256 are booked of key, the error is a
// *ratelimiter.LimitError. Whoever comes after has to wait for them, in all instances: cancel
// what is not going to be used. A SlidingLog books what there is now, and nothing that comes.
func (l *Limiter) Reserve(ctx context.Context, key string, n int, within time.Duration) (ratelimiter.Reservation, error) {
	return consult[ratelimiter.Reservation](ctx, l, ratelimiter.Reserve{Key: key, Weight: n, Within: within})
}

// CancelReservation gives back what v booked, in the instance that did: all of it before its
// time, and then less and less. It returns false if there was nothing left to give back, as
// at the second time.
func (l *Limiter) CancelReservation(ctx context.Context, v ratelimiter.Reservation) (bool, error) {
	c, err := consult[ratelimiter.Cancelled](ctx, l, ratelimiter.CancelReservation{Reservation: v})
	return c.Refunded, err
}

// Override gives key rates of its own from now on, in this instance: give it them in each, as
// with Reconfigure. While instances differ, no more passes than the larger rates allow.
func (l *Limiter) Override(ctx context.Context, key string, rates ...ratelimiter.Rate) error {
	_, err := l.Consult(ctx, ratelimiter.Override{Key: key, Tiers: ratelimiter.Several(rates...)})
	return err
}

// RemoveOverride lets the Config's rates hold for key again. It returns false if key had none
// of its own.
func (l *Limiter) RemoveOverride(ctx context.Context, key string) (bool, error) {
	o, err := consult[ratelimiter.Overridden](ctx, l, ratelimiter.RemoveOverride{Key: key})
	return o.Before, err
}

// Forget gives key its whole burst back, for all instances; what is reserved stays so. A SlidingLog forgets nothing, and
// the error is ErrUnsupported.
func (l *Limiter) Forget(ctx context.Context, key string) error {
	_, err := l.Consult(ctx, Forget{Key: key})
	return err
}

// Reset ends a forced state of this instance. What was used is in Redis and stays; see
// Forget.
func (l *Limiter) Reset(ctx context.Context) error {
	return l.Operate(ctx, patterns.Operation{Kind: patterns.Reset})
}

func consult[A any](ctx context.Context, l *Limiter, question any) (a A, err error) {
	v, err := l.Consult(ctx, question)
	if err != nil {
		return a, err
	}
	a, ok := v.(A)
	if !ok {
		return a, errors.ErrUnsupported
	}
	return a, nil
}

// Key is the limiter of one key: a patterns.Guard.
type Key struct {
	limiter *Limiter
	key     string
}

var (
	_ patterns.Guard = (*Limiter)(nil)
	_ patterns.Guard = Key{}
)

// For returns the limiter of one key. It costs nothing, and lasts as long as l.
func (l *Limiter) For(key string) Key { return Key{l, key} }

// Name returns the limiter's name.
func (k Key) Name() string { return k.limiter.Name() }

// Terms returns the limiter's.
func (k Key) Terms() *patterns.Terms { return k.limiter.Terms() }

// Allow is Limiter.Allow.
func (k Key) Allow() bool { return k.limiter.Allow(k.key) }

// Wait is Limiter.Wait.
func (k Key) Wait(ctx context.Context) error { return k.limiter.Wait(ctx, k.key) }

// Acquire takes a permit of the key.
func (k Key) Acquire(ctx context.Context) (patterns.Permit, error) {
	return k.limiter.AcquireFor(ctx, patterns.Request{Key: k.key})
}

// AcquireFor is Acquire for a request with a weight or a priority. Its own key means nothing.
func (k Key) AcquireFor(ctx context.Context, r patterns.Request) (patterns.Permit, error) {
	r.Key = k.key
	return k.limiter.AcquireFor(ctx, r)
}
