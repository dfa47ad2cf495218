package nethttp_test

import (
	"context"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/bulwark-go/bulwark/integrations/nethttp"
	"github.com/bulwark-go/bulwark/patterns"
	"github.com/bulwark-go/bulwark/patterns/circuitbreaker"
	"github.com/bulwark-go/bulwark/patterns/ratelimiter"
)

// asked is a guard that remembers what it was asked for.
type asked struct{ requests chan patterns.Request }

func newAsked() asked { return asked{make(chan patterns.Request, 100)} }

func (asked) Name() string           { return "asked" }
func (asked) Terms() *patterns.Terms { return nil }

func (g asked) Acquire(context.Context) (patterns.Permit, error) {
	g.requests <- patterns.Request{}
	return patterns.Permit{}, nil
}

func (g asked) AcquireFor(_ context.Context, r patterns.Request) (patterns.Permit, error) {
	g.requests <- r
	return patterns.Permit{}, nil
}

type tenant struct{}

func TestAKeyIsWhatTheOptionsSay(t *testing.T) {
	proxied := nethttp.TrustProxies(nethttp.Proxies{Trusted: []string{"127.0.0.0/8"}})
	long := strings.Repeat("k", 500)
	for _, c := range []struct {
		name    string
		opts    []nethttp.Option
		headers []string
		want    string
	}{
		{"none", nil, []string{"X-Api-Key", "a"}, ""},
		{"a header", []nethttp.Option{nethttp.Key(nethttp.ByHeader("x-api-key"))}, []string{"X-Api-Key", "a", "X-Api-Key", "b"}, "a"},
		{"no such header", []nethttp.Option{nethttp.Key(nethttp.ByHeader("x-api-key"))}, nil, ""},
		{"a cookie", []nethttp.Option{nethttp.Key(nethttp.ByCookie("session"))}, []string{"Cookie", "a=b; session=s"}, "s"},
		{"no such cookie", []nethttp.Option{nethttp.Key(nethttp.ByCookie("session"))}, nil, ""},
		{"the route", []nethttp.Option{nethttp.Key(nethttp.ByRoute())}, nil, "GET /items/{id}"},
		{"a value of the context", []nethttp.Option{nethttp.Key(nethttp.ByValue(tenant{}))}, nil, "acme"},
		{"no such value", []nethttp.Option{nethttp.Key(nethttp.ByValue("tenant"))}, nil, ""},
		{"any function", []nethttp.Option{nethttp.Key(func(r *http.Request) string { return r.Host[:4] })}, nil, "127."},
		{"several", []nethttp.Option{nethttp.Key(nethttp.ByHeader("A"), nethttp.ByHeader("B"))}, []string{"A", "x|y", "B", "z"}, `x\|y|z`},
		{"the client", []nethttp.Option{nethttp.PerClient()}, []string{"X-Forwarded-For", "203.0.113.9"}, "127.0.0.1"},
		{"the client behind a proxy", []nethttp.Option{nethttp.PerClient(), proxied}, []string{"X-Forwarded-For", "1.1.1.1, 203.0.113.9"}, "203.0.113.9"},
		{"an IPv6 client", []nethttp.Option{nethttp.PerClient(), proxied}, []string{"X-Forwarded-For", "2001:db8::1"}, "2001:db8::/64"},
		{"the client and a header", []nethttp.Option{nethttp.PerClient(), proxied, nethttp.Key(nethttp.ByHeader("A"))}, []string{"X-Forwarded-For", "203.0.113.9", "A", "a"}, "203.0.113.9|a"},
		{"a long one", []nethttp.Option{nethttp.Key(nethttp.ByHeader("A"))}, []string{"A", long}, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			g := newAsked()
			mux := http.NewServeMux()
			mux.Handle("GET /items/{id}", nethttp.Guard(g, c.opts...)(say("ok")))
			s := serve(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				mux.ServeHTTP(w, r.WithContext(context.WithValue(r.Context(), tenant{}, "acme")))
			}))
			wantBody(t, get(t, s, "/items/7", c.headers...), 200, "ok")
			got := next(t, g.requests).Key
			if c.name == "a long one" {
				if !strings.HasPrefix(got, "sha256:") || len(got) != len("sha256:")+64 {
					t.Errorf("got %q", got)
				}
				return
			}
			if got != c.want {
				t.Errorf("got %q, want %q", got, c.want)
			}
		})
	}
}

func TestWhoeverMakesUpAddressesGetsNoMore(t *testing.T) {
	guards := registry(t)
	l, err := ratelimiter.Spawn(guards, "api", ratelimiter.Config{Rate: ratelimiter.MustParse("5/hour")})
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name string
		opts []nethttp.Option
		// xff is what arrives for the i-th request
		xff func(made string) string
	}{
		{"no proxy is trusted", nil, func(made string) string { return made }},
		{"the proxy adds the client", []nethttp.Option{nethttp.TrustProxies(nethttp.Proxies{Trusted: []string{"127.0.0.1"}})}, func(made string) string { return made + ", 203.0.113.9" }},
	} {
		t.Run(c.name, func(t *testing.T) {
			if err := l.Reset(t.Context()); err != nil {
				t.Fatal(err)
			}
			s := serve(t, nethttp.RateLimit(l, c.opts...)(say("ok")))
			through := 0
			for i := range 30 {
				made := "198.51.100." + string(rune('0'+i%10))
				if get(t, s, "/", "X-Forwarded-For", c.xff(made), "X-Real-IP", made, "Forwarded", "for="+made).status == 200 {
					through++
				}
			}
			if through != 5 {
				t.Errorf("%d got through", through)
			}
		})
	}
}

func TestAPriorityIsNoMoreThanAClientMayClaim(t *testing.T) {
	trust := nethttp.TrustProxies(nethttp.Proxies{Trusted: []string{"127.0.0.0/8"}})
	rules := nethttp.Priority(nethttp.Priorities{
		Header: "X-Priority", Caps: []nethttp.Cap{{From: []string{"10.0.0.0/8"}, Most: patterns.Critical}},
	})
	rfc := nethttp.TrustProxies(nethttp.Proxies{Trusted: []string{"127.0.0.0/8", "10.0.0.0/8"}, Header: nethttp.Forwarded})
	proxy := nethttp.Priority(nethttp.Priorities{
		Header: "X-Priority", Caps: []nethttp.Cap{{From: []string{"127.0.0.0/8", "10.0.0.0/8"}, Most: patterns.Critical}},
	})
	for _, c := range []struct {
		name    string
		opts    []nethttp.Option
		headers []string
		want    patterns.Priority
		known   bool
	}{
		{"the proxy itself", []nethttp.Option{proxy, rfc}, []string{"X-Priority", "critical"}, patterns.Critical, true},
		{"who cannot be read is not the proxy", []nethttp.Option{proxy, rfc}, []string{"X-Priority", "critical", "Forwarded", `for=", for=203.0.113.9`}, patterns.Normal, true},
		{"nor who is hidden", []nethttp.Option{proxy, rfc}, []string{"X-Priority", "critical", "Forwarded", "for=_hidden, for=10.0.0.1"}, patterns.Normal, true},
		{"two claims", []nethttp.Option{rules, trust}, []string{"X-Priority", "low", "X-Priority", "critical", "X-Forwarded-For", "10.0.0.1"}, patterns.Low, true},
		{"not configured", nil, []string{"X-Priority", "critical"}, patterns.Normal, false},
		{"a stranger", []nethttp.Option{rules, trust}, []string{"X-Priority", "critical", "X-Forwarded-For", "203.0.113.9"}, patterns.Normal, true},
		{"who claims to be a friend", []nethttp.Option{rules, trust}, []string{"X-Priority", "critical", "X-Forwarded-For", "10.0.0.1, 203.0.113.9"}, patterns.Normal, true},
		{"a friend", []nethttp.Option{rules, trust}, []string{"X-Priority", "critical", "X-Forwarded-For", "10.0.0.1"}, patterns.Critical, true},
		{"a modest stranger", []nethttp.Option{rules, trust}, []string{"X-Priority", "Background", "X-Forwarded-For", "203.0.113.9"}, patterns.Background, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			outer, inner := newAsked(), newAsked()
			var got patterns.Priority
			var known bool
			h := nethttp.Guard(outer, c.opts...)(nethttp.Guard(inner)(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
				got, known = nethttp.PriorityOf(r.Context())
			})))
			s := serve(t, h)
			wantBody(t, get(t, s, "/", c.headers...), 200, "")
			if got != c.want || known != c.known {
				t.Errorf("the handler got %v, %v", got, known)
			}
			for name, g := range map[string]asked{"outer": outer, "inner": inner} {
				if q := next(t, g.requests); q.Priority != c.want {
					t.Errorf("the %s guard was asked for %v", name, q.Priority)
				}
			}
		})
	}
	if p, ok := nethttp.PriorityOf(nethttp.WithPriority(t.Context(), patterns.High)); !ok || p != patterns.High {
		t.Errorf("got %v, %v", p, ok)
	}
}

func TestOptionsThatAreWrongAreAllNamed(t *testing.T) {
	guards := registry(t)
	b := newBreaker(t, guards, circuitbreaker.Config{})
	_, err := nethttp.New(b,
		nethttp.Exclude("health", "/ok"), nethttp.Key(nil), nethttp.Weight(nil), nethttp.TimeoutStatus(418), nethttp.Refused(nil),
		nethttp.TrustProxies(nethttp.Proxies{Trusted: []string{"0.0.0.0/0"}, Header: 9}),
		nethttp.Priority(nethttp.Priorities{Header: "a b", Caps: []nethttp.Cap{{From: []string{"x"}}}}), nil,
	)
	want := `nethttp: Key nil: is nil
nethttp: Weight nil: is nil
nethttp: TimeoutStatus 418: must be 503, 504 or 408
nethttp: Refused nil: is nil
nethttp: Exclude "health": must begin with a slash
nethttp: Proxies.Trusted "0.0.0.0/0": has everybody in it, who could then claim to be anybody
nethttp: Proxies.Header header(9): must be ForwardedFor, Forwarded or RealIP
nethttp: Priorities.Header "a b": is no name of a header
nethttp: Priorities.Caps[0].From "x": is neither an address nor a CIDR range, such as 10.0.0.0/8`
	if err == nil || err.Error() != want {
		t.Errorf("got\n%v\nwant\n%s", err, want)
	}
	if _, err := nethttp.NewRateLimit(nil, nethttp.Exclude("x")); err == nil {
		t.Error("no error")
	}
	if _, err := nethttp.ClientIP(nethttp.Proxies{Trusted: []string{"x"}}); err == nil {
		t.Error("no error")
	}
	for name, wrong := range map[string]func(){
		"no guard":    func() { nethttp.Guard(nil) },
		"no limiter":  func() { nethttp.RateLimit(nil) },
		"no handler":  func() { nethttp.Guard(b)(nil) },
		"wrong paths": func() { nethttp.Guard(b, nethttp.Exclude("x")) },
	} {
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("%s: no panic", name)
				}
			}()
			wrong()
		}()
	}
}

func TestClientIPIsThePeerUnlessAProxyIsTrusted(t *testing.T) {
	of, err := nethttp.ClientIP(nethttp.Proxies{Trusted: []string{"10.0.0.0/8"}, Header: nethttp.RealIP})
	if err != nil {
		t.Fatal(err)
	}
	r := httptest.NewRequest(http.MethodGet, "/", nil)
	r.Header.Set("X-Real-IP", "203.0.113.9")
	if r.RemoteAddr = "10.0.0.1:1"; of(r).String() != "203.0.113.9" {
		t.Error(of(r))
	}
	if r.RemoteAddr = "11.0.0.1:1"; of(r).String() != "11.0.0.1" {
		t.Error(of(r))
	}
}
