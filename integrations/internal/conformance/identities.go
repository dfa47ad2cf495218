package conformance

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"

	"github.com/bulwark-go/bulwark/integrations/nethttp"
	"github.com/bulwark-go/bulwark/patterns"
)

// identities are who a client is.
var identities = []named{
	{"nobody is believed who he is, unless he is trusted", func(c *check) {
		c.one(say("ok"), Guard{Limiter: c.limiter("api", "1/hour"), Options: Options{PerClient: true}})
		c.want(c.get("/pay", "X-Forwarded-For", "203.0.113.1"), 200, "ok")
		for _, name := range []string{"X-Forwarded-For", "X-Real-IP", "Forwarded", "True-Client-IP", "CF-Connecting-IP"} {
			c.wantProblem(c.get("/pay", name, "for=203.0.113.2"), 429, "rate-limited")
			c.wantProblem(c.get("/pay", name, "203.0.113.2"), 429, "rate-limited")
		}
		c.settle()
	}},
	{"a trusted proxy is believed, and nothing that came before it", func(c *check) {
		c.one(say("ok"), Guard{Limiter: c.limiter("api", "1/hour"), Options: Options{
			PerClient: true, Proxies: nethttp.Proxies{Trusted: []string{"127.0.0.0/8", "10.0.0.0/8"}},
		}})
		c.want(c.get("/pay", "X-Forwarded-For", "203.0.113.1, 10.0.0.1"), 200, "ok")
		c.wantProblem(c.get("/pay", "X-Forwarded-For", "198.51.100.7, 203.0.113.1, 10.0.0.9"), 429, "rate-limited")
		c.wantProblem(c.get("/pay", "X-Forwarded-For", "198.51.100.7", "X-Forwarded-For", "203.0.113.1"), 429, "rate-limited")
		c.want(c.get("/pay", "X-Forwarded-For", "203.0.113.2"), 200, "ok")
		c.want(c.get("/pay", "X-Forwarded-For", "2001:db8:1:1::1"), 200, "ok")
		c.wantProblem(c.get("/pay", "X-Forwarded-For", "2001:db8:1:1:ffff::2"), 429, "rate-limited")
		c.settle()
	}},
	{"a priority counts as far as its client may claim it", func(c *check) {
		seen := &recorder{}
		most := nethttp.Priorities{Header: "X-Priority", Most: patterns.Normal, Caps: []nethttp.Cap{{From: []string{"203.0.113.0/24"}, Most: patterns.Critical}}}
		c.one(say("ok"), Guard{Guard: seen, Options: Options{Priority: most, Proxies: nethttp.Proxies{Trusted: []string{"127.0.0.1"}}}})
		for _, a := range []struct {
			from, claim string
			want        patterns.Priority
		}{
			{"198.51.100.1", "critical", patterns.Normal},
			{"198.51.100.1", "low", patterns.Low},
			{"198.51.100.1", "", patterns.Normal},
			{"198.51.100.1", "root", patterns.Normal},
			{"203.0.113.9", "critical", patterns.Critical},
			{"203.0.113.9, 198.51.100.1", "critical", patterns.Normal},
		} {
			c.want(c.get("/pay", "X-Priority", a.claim, "X-Forwarded-For", a.from), 200, "ok")
			if got := seen.last().Priority; got != a.want {
				c.Errorf("%s claims %q: got %v, want %v", a.from, a.claim, got, a.want)
			}
		}
		c.settle()
	}},
	{"no header has a priority in it, unless one says so", func(c *check) {
		seen := &recorder{}
		c.one(say("ok"), Guard{Guard: seen})
		c.want(c.get("/pay", "X-Priority", "critical"), 200, "ok")
		if got := seen.last(); got != (patterns.Request{}) {
			c.Errorf("got %+v", got)
		}
		c.settle()
	}},
	{"a key is kept as it was, however long and strange", func(c *check) {
		seen := &recorder{}
		c.one(say("ok"), Guard{Guard: seen, Options: Options{ByHeader: "X-Tenant", Weight: 3}})
		var want []string
		for i := range 50 {
			tenant := fmt.Sprintf("tenant-%d\t%s", i, strings.Repeat("|", i%7))
			want = append(want, strings.TrimSpace(tenant))
			c.want(c.get("/pay", "X-Tenant", tenant), 200, "ok")
		}
		long := c.get("/pay", "X-Tenant", strings.Repeat("x", 3000))
		c.want(long, 200, "ok")
		got := seen.all()
		for i, w := range want {
			if got[i].Key != w || got[i].Weight != 3 {
				c.Errorf("%d: got %+v, want %q", i, got[i], w)
			}
		}
		if k := got[len(want)].Key; len(k) > 128 {
			c.Errorf("a key of %d bytes", len(k))
		}
		c.settle()
	}},
}

// recorder is a guard that admits everybody, and remembers for what it was asked.
type recorder struct {
	mu    sync.Mutex
	asked []patterns.Request
}

func (*recorder) Name() string           { return "recorder" }
func (*recorder) Terms() *patterns.Terms { return nil }

func (r *recorder) Acquire(ctx context.Context) (patterns.Permit, error) {
	return r.AcquireFor(ctx, patterns.Request{})
}

func (r *recorder) AcquireFor(_ context.Context, q patterns.Request) (patterns.Permit, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.asked = append(r.asked, q)
	return patterns.Permit{}, nil
}

func (r *recorder) all() []patterns.Request {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.asked)
}

func (r *recorder) last() patterns.Request {
	all := r.all()
	if len(all) == 0 {
		return patterns.Request{Key: "nobody was asked"}
	}
	return all[len(all)-1]
}
