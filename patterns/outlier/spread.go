package outlier

import (
	"context"
	"sync/atomic"
)

// trail is where the attempts of one call have been. Some run side by side.
type trail struct{ latest atomic.Pointer[step] }

type step struct {
	at     *mark
	before *step
}

func (t *trail) add(at *mark) {
	if t == nil {
		return
	}
	s := &step{at: at}
	for {
		s.before = t.latest.Load()
		if t.latest.CompareAndSwap(s.before, s) {
			return
		}
	}
}

func (t *trail) has(at *mark) bool {
	if t == nil {
		return false
	}
	for s := t.latest.Load(); s != nil; s = s.before {
		if s.at == at {
			return true
		}
	}
	return false
}

type (
	trailKey  struct{}
	memberKey struct{}
)

// Spread returns a context within which each call through an Ejector goes to a member that
// those before it have not been to, if there is one in use. Make one for what is tried
// several times, around the retry or the hedge. Within another one it is that one.
func Spread(ctx context.Context) context.Context {
	if trailOf(ctx) != nil {
		return ctx
	}
	return context.WithValue(ctx, trailKey{}, new(trail))
}

func trailOf(ctx context.Context) *trail {
	t, _ := ctx.Value(trailKey{}).(*trail)
	return t
}

// MemberOf returns the member that the guarded function is to call, which patterns.Do through
// an Ejector has chosen.
func MemberOf(ctx context.Context) (name string, ok bool) {
	name, ok = ctx.Value(memberKey{}).(string)
	return name, ok
}
