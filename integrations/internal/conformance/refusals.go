package conformance

import (
	"net/http"
	"strconv"
	"strings"

	"github.com/bulwark-go/bulwark/integrations/nethttp"
	"github.com/bulwark-go/bulwark/patterns/ratelimiter"
)

// refusals are what a client gets that has no answer.
var refusals = []named{
	{"an open breaker is a problem, and says when to come again", func(c *check) {
		c.one(say("ok"), Guard{Guard: c.open("secret")})
		got := c.get("/pay")
		c.wantProblem(got, 503, "unavailable")
		if after, err := strconv.Atoi(got.header.Get("Retry-After")); err != nil || after < 1 {
			c.Errorf("Retry-After: %q", got.header.Get("Retry-After"))
		}
		if n := c.settle()[0]; n.Rejected != 1 {
			c.Errorf("got %+v", n)
		}
	}},
	{"HEAD has a problem's headers, and no body", func(c *check) {
		c.one(say("ok"), Guard{Guard: c.open("secret")})
		got := c.do(http.MethodHead, "/pay", nil)
		c.want(got, 503, "")
		if got.header.Get("Content-Type") != "application/problem+json" || got.header.Get("Retry-After") == "" || got.header.Get("Content-Length") == "0" {
			c.Errorf("got %v", got.header)
		}
		c.settle()
	}},
	{"a refusal may be a native handler's", func(c *check) {
		c.one(say("ok"), Guard{Guard: c.open("b"), Options: Options{Sorry: "sorry"}})
		got := c.get("/pay")
		c.want(got, Teapot, "sorry: unavailable")
		if got.header.Get("Retry-After") == "" {
			c.Errorf("got %v", got.header)
		}
		c.settle()
	}},
	{"a rate is told with every answer", func(c *check) {
		c.one(say("ok"), Guard{Limiter: c.limiter("api", "2/hour")})
		first, second, third := c.get("/pay"), c.get("/pay"), c.get("/pay")
		c.want(first, 200, "ok")
		c.want(second, 200, "ok")
		c.wantProblem(third, 429, "rate-limited")
		for i, got := range []reply{first, second, third} {
			left := strconv.Itoa(max(0, 1-i))
			if p := got.header.Get("RateLimit-Policy"); p != `"api";q=2;w=3600` {
				c.Errorf("%d: RateLimit-Policy: %s", i, p)
			}
			if s := got.header.Get("RateLimit"); !strings.HasPrefix(s, `"api";r=`+left+`;t=`) {
				c.Errorf("%d: RateLimit: %s", i, s)
			}
			if got.header.Get("X-RateLimit-Limit") != "2" || got.header.Get("X-RateLimit-Remaining") != left || got.header.Get("X-RateLimit-Reset") == "" {
				c.Errorf("%d: got %v", i, got.header)
			}
		}
		if after, _ := strconv.Atoi(third.header.Get("Retry-After")); after < 1700 || after > 3600 {
			c.Errorf("Retry-After: %v", third.header)
		}
		c.settle()
	}},
	{"a limiter in a guard tells who is refused", func(c *check) {
		c.one(say("ok"), Guard{Guard: c.limiter("api", "1/hour")})
		c.want(c.get("/pay"), 200, "ok")
		got := c.get("/pay")
		c.wantProblem(got, 429, "rate-limited")
		if got.header.Get("RateLimit-Policy") != `"api";q=1;w=3600` || got.header.Get("X-RateLimit-Remaining") != "0" {
			c.Errorf("got %v", got.header)
		}
		c.settle()
	}},
	{"of two rates both are told, and the old headers are of the one with less left", func(c *check) {
		c.one(say("ok"), Guard{Limiter: c.limiter("a", "5/hour")}, Guard{Limiter: c.limiter("b", "2/hour")})
		got := c.get("/pay")
		c.want(got, 200, "ok")
		if len(got.header.Values("RateLimit-Policy")) != 2 || len(got.header.Values("RateLimit")) != 2 || got.header.Get("X-RateLimit-Limit") != "2" {
			c.Errorf("got %v", got.header)
		}
		c.settle()
	}},
}

func (c *check) limiter(name, rate string) *ratelimiter.Limiter {
	c.Helper()
	return must[*ratelimiter.Limiter](c)(ratelimiter.Spawn(c.guards, name, ratelimiter.Config{Rate: ratelimiter.MustParse(rate)}))
}

var _ nethttp.Limiter = (*ratelimiter.Limiter)(nil)
