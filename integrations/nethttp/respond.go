package nethttp

import (
	"context"
	"errors"
	"net/http"
	"strconv"
	"time"

	"github.com/bulwark-go/bulwark/integrations/internal/hosted"
	"github.com/bulwark-go/bulwark/integrations/internal/quota"
	"github.com/bulwark-go/bulwark/integrations/internal/refusal"
	"github.com/bulwark-go/bulwark/patterns/ratelimiter"
)

// Refusal is what a client is told in place of an answer, and why.
//
//	Kind             what the problem would say
//	Status int       the HTTP status that goes with it
//	RetryAfter int   when to come again, in seconds, at least 1; 0 where that is of no use
//	Err error        what happened. It is for the server's own eyes
type Refusal = refusal.Refusal

// Kind is what a client is told: it is the reason of a problem.
type Kind = refusal.Kind

// Kinds. The set is closed.
const (
	RateLimited = refusal.RateLimited // this client asked for too much, and may come again
	Overloaded  = refusal.Overloaded  // too much is asked, by whomever
	Unavailable = refusal.Unavailable // what is needed does not work at the moment
	TimedOut    = refusal.TimedOut    // it took too long
	Invalid     = refusal.Invalid     // it can never be granted
	Failed      = refusal.Failed      // something else went wrong here
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
		e.refuseAs(told, w, r)
		return
	}
	dismiss(w, r)
	body := e.problems.Body(told.Kind)
	h.Set("Cache-Control", "no-store")
	h.Set("Content-Type", refusal.ContentType)
	h.Set("Content-Length", strconv.Itoa(len(body)))
	w.WriteHeader(told.Status)
	if r.Method != http.MethodHead {
		_, _ = w.Write(body) // a client that has left misses nothing
	}
}

// linger is how long the body of a refused request is waited for.
const linger = 500 * time.Millisecond

// dismiss lets a client have its refusal before its body has come: package http waits for that
// first, for as long as it takes. What comes soon keeps the connection.
func dismiss(w http.ResponseWriter, r *http.Request) {
	if r.ContentLength != 0 && r.Body != nil {
		_ = http.NewResponseController(w).SetReadDeadline(time.Now().Add(linger)) // without it the client decides
	}
}

// refuseAs has the user's handler say it. What it does not say is not that all went well.
func (e *entrance) refuseAs(told Refusal, w http.ResponseWriter, r *http.Request) {
	own := &response{inner: w, assume: told.Status}
	e.refused.ServeHTTP(own.faces.of(own, w), r.WithContext(context.WithValue(r.Context(), refusalKey{}, told)))
	if own.closed == nil && hosted.Of(w) == nil { // a framework's handler has its own way to the client
		own.begin()
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
