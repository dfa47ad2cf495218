package fiberguard

import (
	"errors"
	"net/http"
	"strconv"

	"github.com/gofiber/fiber/v3"
	"github.com/valyala/fasthttp"

	"github.com/bulwark-go/bulwark/integrations/internal/quota"
	"github.com/bulwark-go/bulwark/integrations/internal/refusal"
	"github.com/bulwark-go/bulwark/patterns/ratelimiter"
)

// Refusal is what a client is told in place of an answer, and why. It is that of package
// nethttp, which has its Kinds.
//
//	Kind             what the problem would say
//	Status int       the HTTP status that goes with it
//	RetryAfter int   when to come again, in seconds, at least 1; 0 where that is of no use
//	Err error        what happened. It is for the server's own eyes
type Refusal = refusal.Refusal

// refusalKey is that of a Refusal in locals.
type refusalKey struct{}

// RefusalOf returns why a request is refused, in a handler that was given to Refused.
func RefusalOf(c fiber.Ctx) (r Refusal, ok bool) {
	r, ok = c.Locals(refusalKey{}).(Refusal)
	return r, ok
}

// refuse answers a request in the guard's name.
func (e *entrance) refuse(c fiber.Ctx, err error) error {
	c.Locals(insideKey{}, true)
	told := refusal.Of(err, e.late)
	response := c.Response()
	if told.RetryAfter > 0 {
		response.Header.Set("Retry-After", strconv.Itoa(told.RetryAfter))
	}
	if limit, ok := errors.AsType[*ratelimiter.LimitError](err); ok {
		if s, ok := quota.OfRefusal(limit); ok {
			tell(&response.Header, quota.Quote(limit.Name), s)
		}
	}
	if told.Status == http.StatusRequestTimeout {
		response.SetConnectionClose()
	}
	if e.refused != nil {
		c.Locals(refusalKey{}, told)
		if err := e.refused(c); err != nil {
			answerError(c, err)
		}
		return nil
	}
	response.Header.Set("Cache-Control", "no-store")
	response.Header.SetContentType(refusal.ContentType)
	response.SetStatusCode(told.Status)
	response.SetBody(e.problems.Body(told.Kind))
	return nil
}

// tell adds where a client stands. Where several rates hold, the old headers, of which there
// can be but one, are about the one with the least left.
func tell(h *fasthttp.ResponseHeader, quoted string, s quota.State) {
	h.Add(quota.PolicyHeader, s.Policy(quoted))
	h.Add(quota.StateHeader, s.State(quoted))
	if other, err := strconv.ParseInt(string(h.Peek(quota.RemainingHeader)), 10, 64); err == nil && other <= s.Remaining {
		return
	}
	h.Set(quota.LimitHeader, strconv.FormatInt(s.Limit, 10))
	h.Set(quota.RemainingHeader, strconv.FormatInt(s.Remaining, 10))
	h.Set(quota.ResetHeader, strconv.FormatInt(s.Reset, 10))
}
