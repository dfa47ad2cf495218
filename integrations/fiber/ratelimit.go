package fiberguard

import (
	"errors"
	"fmt"
	"time"

	"github.com/gofiber/fiber/v3"

	"github.com/bulwark-go/bulwark/integrations/internal/quota"
	"github.com/bulwark-go/bulwark/patterns"
	"github.com/bulwark-go/bulwark/patterns/ratelimiter"
)

// Limiter is one that says how much is left: a *ratelimiter.Limiter, or one that is shared
// with other processes.
type Limiter = quota.Limiter

// RateLimit holds clients to a rate, and tells them with every answer what they have left, in
// RateLimit-Policy, RateLimit, and X-RateLimit-Limit, -Remaining and -Reset, which is in
// seconds from now. It panics if an option is wrong; NewRateLimit does not.
//
// What is used is used, however the request ends. A limiter in a Guard gives back what a guard
// inside refuses, and tells only those who are refused.
func RateLimit(l Limiter, opts ...Option) fiber.Handler { return must(NewRateLimit(l, opts...)) }

// NewRateLimit is RateLimit for options that may be wrong. The error names every fault.
func NewRateLimit(l Limiter, opts ...Option) (fiber.Handler, error) {
	e, err := newEntrance(true, opts)
	if l == nil {
		err = errors.Join(err, fmt.Errorf("fiberguard: no Limiter: %w", patterns.ErrNilGuard))
	}
	if err != nil {
		return nil, err
	}
	h := &limited{entrance: e, limiter: l, quoted: quota.Quote(l.Name())}
	return h.serve, nil
}

// limited are handlers behind a limiter.
type limited struct {
	*entrance
	limiter Limiter
	quoted  string // its name
}

func (h *limited) serve(c fiber.Ctx) error {
	if h.excludes(c) {
		return c.Next()
	}
	var q patterns.Request
	h.ask(c, &q)
	if q.Weight == 0 { // as it is for guards
		q.Weight = 1
	}
	a, err := h.limiter.Take(c.Context(), q.Key, q.Weight)
	switch {
	case err != nil:
		return h.refuse(c, err)
	case !a.Allowed:
		return h.refuse(c, h.refusal(a, q.Weight))
	}
	if s, ok := quota.Of(a); ok {
		tell(&c.Response().Header, h.quoted, s)
	}
	return c.Next()
}

// refusal is what the limiter would have said if it had been asked for a permit.
func (h *limited) refusal(a ratelimiter.Answer, weight int) error {
	if a.RetryAfter < 0 {
		return &ratelimiter.WeightError{Name: h.limiter.Name(), Weight: weight, Rate: a.Rate, Limit: a.Limit}
	}
	now := time.Now()
	return &ratelimiter.LimitError{
		Name: h.limiter.Name(), Cause: ratelimiter.CauseRate, Rate: a.Rate, Limit: a.Limit, Remaining: a.Remaining,
		RetryAt: now.Add(a.RetryAfter), ResetAt: now.Add(a.ResetAfter),
	}
}
