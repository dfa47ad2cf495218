package nethttp

import (
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/bulwark-go/bulwark/integrations/internal/quota"
	"github.com/bulwark-go/bulwark/patterns"
	"github.com/bulwark-go/bulwark/patterns/ratelimiter"
)

// Limiter is one that says how much is left: a *ratelimiter.Limiter, or a
// *redislimiter.Limiter, which other processes share.
//
//	Name() string
//	Take(ctx context.Context, key string, n int) (ratelimiter.Answer, error)
//
// Take uses n permits of key's budget if they are there now; an error means that there is no
// answer. It is called by many goroutines at once.
type Limiter = quota.Limiter

// RateLimit holds clients to a rate, and tells them with every answer what they have left, in
// RateLimit-Policy, RateLimit, and X-RateLimit-Limit, -Remaining and -Reset, which is in
// seconds from now. It panics if an option is wrong; NewRateLimit does not.
//
// What is used is used, however the request ends. A limiter in a Guard gives back what a guard
// inside refuses, and tells only those who are refused.
func RateLimit(l Limiter, opts ...Option) func(http.Handler) http.Handler {
	return must(NewRateLimit(l, opts...))
}

// NewRateLimit is RateLimit for options that may be wrong. The error names every fault.
func NewRateLimit(l Limiter, opts ...Option) (func(http.Handler) http.Handler, error) {
	e, err := newEntrance(true, opts)
	if l == nil {
		err = errors.Join(err, fmt.Errorf("nethttp: no Limiter: %w", patterns.ErrNilGuard))
	}
	if err != nil {
		return nil, err
	}
	quoted := quota.Quote(l.Name())
	return func(next http.Handler) http.Handler {
		if next == nil {
			panic(ErrNilHandler)
		}
		return &limited{entrance: e, limiter: l, quoted: quoted, next: next}
	}, nil
}

// limited is a handler behind a limiter.
type limited struct {
	*entrance
	limiter Limiter
	quoted  string // its name
	next    http.Handler
}

// ServeHTTP implements http.Handler.
func (h *limited) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if h.excludes(r) {
		h.next.ServeHTTP(w, r)
		return
	}
	var q patterns.Request
	original := r
	r = h.ask(w, r, &q)
	defer tidy(r, original)
	if q.Weight == 0 { // as it is for guards
		q.Weight = 1
	}
	a, err := h.limiter.Take(r.Context(), q.Key, q.Weight)
	switch {
	case err != nil:
		h.refuse(w, r, err)
	case !a.Allowed:
		h.refuse(w, r, h.refusal(a, q.Weight))
	default:
		if s, ok := quota.Of(a); ok {
			tell(w.Header(), h.quoted, s)
		}
		h.next.ServeHTTP(w, r)
	}
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
