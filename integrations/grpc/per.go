package grpcguard

import (
	"context"
	"fmt"

	"github.com/bulwark-go/bulwark/integrations/internal/family"
	"github.com/bulwark-go/bulwark/integrations/internal/keys"
	"github.com/bulwark-go/bulwark/patterns"
)

// guards says which guard a call is for.
type guards interface {
	of(ctx context.Context, c Call) (patterns.Guard, error)
}

// one is the guard of all calls.
type one struct{ patterns.Guard }

func (g one) of(context.Context, Call) (patterns.Guard, error) { return g.Guard, nil }

func guardsOf(g patterns.Guard) guards {
	if several, ok := g.(*Several); ok {
		return several
	}
	return one{g}
}

// Several are guards of which each call has one. Only this package's interceptors and Taps can
// tell which: asked for permits by anybody else it says so.
type Several struct {
	by      KeyFunc
	members *family.Family[patterns.Guard]
}

var _ patterns.Guard = (*Several)(nil)

// Per returns guards of which each key has one: a breaker for each method or server, say. f
// makes one when it is first needed, on the call's goroutine, and one at a time. There are at
// most 1024; keys that come later share that of the key "*". A call whose guard cannot be made
// is answered with Internal.
func Per(by KeyFunc, f func(key string) (patterns.Guard, error)) (*Several, error) {
	if by == nil || f == nil {
		return nil, patterns.ErrNilFunc
	}
	return &Several{by: by, members: family.Sharing(func(key string) (patterns.Guard, error) {
		g, err := f(key)
		if err == nil && g == nil {
			err = patterns.ErrNilGuard
		}
		return g, err
	})}, nil
}

// PerMethod is Per for full methods.
func PerMethod(f func(method string) (patterns.Guard, error)) (*Several, error) {
	return Per(ByMethod(), f)
}

// PerTarget is Per for what clients have dialled.
func PerTarget(f func(target string) (patterns.Guard, error)) (*Several, error) {
	return Per(ByTarget(), f)
}

func (s *Several) of(ctx context.Context, c Call) (patterns.Guard, error) {
	m, err := s.members.Use(ctx, keys.Bound(s.by(ctx, c)))
	if err != nil {
		return nil, fmt.Errorf("there is no guard for this call: %w", err)
	}
	return m.Value, nil // of those that are shared none is forgotten, so that nobody needs to know when the call ends
}

// Name implements patterns.Guard.
func (*Several) Name() string { return "several" }

// Acquire implements patterns.Guard: it returns ErrSeveral.
func (*Several) Acquire(context.Context) (patterns.Permit, error) {
	return patterns.Permit{}, ErrSeveral
}

// AcquireFor implements patterns.Guard: it returns ErrSeveral.
func (*Several) AcquireFor(context.Context, patterns.Request) (patterns.Permit, error) {
	return patterns.Permit{}, ErrSeveral
}

// Terms implements patterns.Guard.
func (*Several) Terms() *patterns.Terms { return nil }
