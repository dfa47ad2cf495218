package grpcguard

import (
	"context"
	"errors"
	"slices"
	"sync"

	"google.golang.org/grpc"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/peer"

	"github.com/bulwark-go/bulwark/integrations/internal/policyerr"
	"github.com/bulwark-go/bulwark/patterns"
	"github.com/bulwark-go/bulwark/patterns/timeout"
)

// course is a call on its way through policies: it may be made several times, also side by
// side, and go on when nobody waits for it any more.
type course struct {
	*entrance
	call Call
	once func(ctx context.Context, a *attempt) (any, error) // makes it

	mu       sync.Mutex
	attempts []*attempt
}

// attempt is one of them. What it has is its own until it has ended.
type attempt struct {
	ended  bool
	err    error
	result any
	// What a client learns besides.
	header, trailer metadata.MD
	peer            peer.Peer
}

// try makes an attempt, on whatever goroutine the policies chose. What it returns is for
// guards to judge.
func (c *course) try(ctx context.Context) (any, error) {
	a, err := c.admit()
	if err != nil {
		return nil, err
	}
	result, err := c.once(ctx, a)
	c.mu.Lock()
	a.result, a.err, a.ended = result, err, true
	c.mu.Unlock()
	if err == nil {
		return result, nil
	}
	switch c.outcomes.of(ctx, c.server, err) {
	case patterns.Success:
		return &Answer{Err: err}, nil
	case patterns.Ignored:
		if errors.Is(err, patterns.ErrRejected) {
			return nil, err
		}
		return nil, policyerr.Also(err, errNeutral)
	}
	wait, known, final := hint(err, a.trailer)
	switch {
	case final, !c.idempotent.has(c.call.Method):
		return nil, policyerr.Also(err, patterns.ErrFinal)
	case known:
		return nil, policyerr.After(err, wait, nil)
	}
	return nil, err
}

// admit begins an attempt, if one can still be made.
func (c *course) admit() (*attempt, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.attempts) > 0 && !c.idempotent.has(c.call.Method) {
		return nil, errSpent
	}
	a := new(attempt)
	c.attempts = append(c.attempts, a)
	return a, nil
}

// settle returns the attempt that v or err are of, what it had or the policies gave instead,
// and its error or that of the policies. There may be no such attempt.
func (c *course) settle(v any, err error) (*attempt, any, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	answer, answered := v.(*Answer)
	if answered = answered && err == nil; answered {
		v, err = nil, answer.Err
	}
	if errors.Is(err, errSpent) {
		if err = context.DeadlineExceeded; c.attempts[0].ended { // and else policies have no patience
			err = c.attempts[0].err
		}
	}
	err = policyerr.Own(err)
	for _, a := range slices.Backward(c.attempts) {
		if a.ended && (err == nil && same(a.result, v) || err != nil && a.err != nil && errors.Is(err, a.err)) {
			return a, v, err
		}
	}
	if answered { // a fallback remembers it of another call
		return &attempt{ended: true, err: err}, nil, err
	}
	return nil, v, err
}

// handle has the guard's policies call a handler.
func (e *entrance) handle(ctx context.Context, g patterns.Guard, q patterns.Request, call Call, req any, handler grpc.UnaryHandler) (any, error) {
	c := &course{entrance: e, call: call, once: func(ctx context.Context, _ *attempt) (any, error) { return handler(ctx, req) }}
	v, err := patterns.DoFor(ctx, g, q, c.try)
	a, v, err := c.settle(v, err)
	switch {
	case err == nil && v == nil:
		return nil, e.refuse(setTrailer(ctx), errNothing)
	case err == nil:
		return v, nil
	case a != nil && !errors.Is(err, timeout.ErrTimeout):
		return nil, e.told(setTrailer(ctx), a.err) // how often it was tried is none of the client's business
	}
	return nil, e.refuse(setTrailer(ctx), err)
}
