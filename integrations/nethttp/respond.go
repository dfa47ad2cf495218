package nethttp

import (
	"context"
	"errors"
	"net/http"
	"strconv"

	"github.com/bulwark-go/bulwark/integrations/internal/quota"
	"github.com/bulwark-go/bulwark/integrations/internal/refusal"
	"github.com/bulwark-go/bulwark/patterns/ratelimiter"
)

// Refusal is what a client is told in place of an answer, and why. Err is for the server's
// own eyes.
type Refusal = refusal.Refusal

// Kind is what a client is told: it is the reason of a problem.
type Kind = refusal.Kind

// Kinds.
const (
	RateLimited = refusal.RateLimited
	Overloaded  = refusal.Overloaded
	Unavailable = refusal.Unavailable
	TimedOut    = refusal.TimedOut
	Invalid     = refusal.Invalid
	Failed      = refusal.Failed
)

// refusalKey is that of a Refusal in a context.
type refusalKey struct{}

// RefusalOf returns why a request is refused, in a handler that was given to Refused.
func RefusalOf(ctx context.Context) (r Refusal, ok bool) {
	r, ok = ctx.Value(refusalKey{}).(Refusal)
	return r, ok
}

// refuse answers a request in the guard's name.
func (e *entrance) refuse(w http.ResponseWriter, r *http.Request, err error) {
	refusedInside(w)
	told := refusal.Of(err, e.late)
	h := w.Header()
	if told.RetryAfter > 0 {
		h.Set("Retry-After", strconv.Itoa(told.RetryAfter))
	}
	if limit, ok := errors.AsType[*ratelimiter.LimitError](err); ok {
		if s, ok := quota.OfRefusal(limit); ok {
			tell(h, quota.Quote(limit.Name), s)
		}
	}
	if told.Status == http.StatusRequestTimeout && r.ProtoMajor == 1 {
		h.Set("Connection", "close")
	}
	if e.refused != nil {
		e.refused.ServeHTTP(w, r.WithContext(context.WithValue(r.Context(), refusalKey{}, told)))
		return
	}
	body := e.problems.Body(told.Kind)
	h.Set("Cache-Control", "no-store")
	h.Set("Content-Type", refusal.ContentType)
	h.Set("Content-Length", strconv.Itoa(len(body)))
	w.WriteHeader(told.Status)
	if r.Method != http.MethodHead {
		_, _ = w.Write(body) // a client that has left misses nothing
	}
}

// tell adds where a client stands. Where several rates hold, the old headers, of which there
// can be but one, are about the one with the least left.
func tell(h http.Header, quoted string, s quota.State) {
	h[quota.PolicyHeader] = append(h[quota.PolicyHeader], s.Policy(quoted))
	h[quota.StateHeader] = append(h[quota.StateHeader], s.State(quoted))
	if other, err := strconv.ParseInt(h.Get(quota.RemainingHeader), 10, 64); err == nil && other <= s.Remaining {
		return
	}
	h[quota.LimitHeader] = []string{strconv.FormatInt(s.Limit, 10)}
	h[quota.RemainingHeader] = []string{strconv.FormatInt(s.Remaining, 10)}
	h[quota.ResetHeader] = []string{strconv.FormatInt(s.Reset, 10)}
}
