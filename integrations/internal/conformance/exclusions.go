package conformance

import (
	"strings"
	"testing"
)

// exclusions are what is not guarded.
var exclusions = []named{
	{"probes are not guarded, unless one says so", func(c *check) {
		open := c.open("b")
		guards := []Guard{{Guard: open}}
		strict := []Guard{{Guard: open, Options: Options{Exclude: []string{}}}}
		c.serve(Spec{Routes: []Route{
			{"/health", guards, say("ok")},
			{"/healthz", guards, say("ok")},
			{"/ready", guards, say("ok")},
			{"/metrics", guards, say("ok")},
			{"/pay", guards, say("ok")},
		}})
		for _, p := range []string{"/health", "/healthz", "/ready", "/metrics", "/metrics?x=y"} {
			c.want(c.get(p), 200, "ok")
		}
		c.wantProblem(c.get("/pay"), 503, "unavailable")
		c.settle()

		c.serve(Spec{Routes: []Route{{"/health", strict, say("ok")}}})
		c.wantProblem(c.get("/health"), 503, "unavailable")
		c.settle()
	}},
	{"nobody gets around a guard by spelling a path in another way", func(c *check) {
		for loose, router := range map[bool]string{false: "a strict router", true: "a loose router"} {
			for where, guard := range map[string]Guard{
				"the defaults": {Guard: c.open("defaults, " + router)},
				"more": {Guard: c.open("more, " + router), Options: Options{
					Exclude: []string{"/health", "/static/...", "/api/*/up"}, Routes: []string{"/health", "/static/a"},
				}},
			} {
				c.Run(router+", "+where, func(t *testing.T) {
					c := newCheck(t, c.f)
					c.serve(Spec{
						Loose: loose, Everywhere: []Guard{guard},
						Routes: []Route{{"/health", nil, say("well")}, {"/pay", nil, say("paid")}, {"/static/a", nil, say("a")}, {"/api/v1/up", nil, say("up")}},
						Groups: []Group{{Prefix: "/shop", Routes: []Route{{"/pay", nil, say("paid")}}}, {Prefix: "/mall", Mounted: true, Routes: []Route{{"/pay", nil, say("paid")}}}},
					})
					c.want(c.get("/health?verbose=1"), 200, "well")
					for unguarded, guarded := range map[string]string{"/health": "/pay", "/static": "/pay", "/static/a": "/shop/pay", "/api/v1/up": "/mall/pay"} {
						for _, target := range spellings(unguarded, guarded) {
							if status, rest := c.raw("GET " + target + " HTTP/1.1\nHost: x\nX-Original-Url: /health\nX-Rewrite-Url: /health\nConnection: close\n\n"); strings.Contains(rest, "paid") {
								c.Errorf("%q: %s %q", target, status, rest)
							}
						}
					}
					c.stop()
				})
			}
		}
	}},
	{"what is excluded is not more than what is spelled out", func(c *check) {
		open := c.open("b")
		c.serve(Spec{
			Everywhere: []Guard{{Guard: open, Options: Options{Exclude: []string{"/static/...", "/api/*/up", "/health"}}}},
			Routes:     []Route{{"/static/a", nil, say("ok")}, {"/api/v1/up", nil, say("ok")}, {"/health", nil, say("ok")}, {"/", nil, say("ok")}},
		})
		for _, p := range []string{"/static/a", "/api/v1/up", "/health", "/health?a=/.."} {
			c.want(c.get(p), 200, "ok")
		}
		for _, p := range []string{
			"/static/../health", "/static/%2e%2e/health", "/static/..%2fhealth", "/static//../health", "/api/v1/x/up", "/%73tatic/a",
			"/static\\..\\a", "/STATIC/../a", "/api//v1/up", "/api/%76/up", "/hea%6cth", "/health/", "/health//", "/./health", "/Health",
			"/health;a=b", "/health%20", "/health%00", "/health%2f", "/healthy", "/healthz", "/", "/x/../health", "/health/../health",
		} {
			if status, body := c.raw("GET " + p + " HTTP/1.1\nHost: x\nConnection: close\n\n"); status == "200" {
				c.Errorf("%s: %s %q", p, status, body)
			}
		}
		c.settle()
	}},
	{"in groups and mounted routers a path is the request's, and whole", func(c *check) {
		open := c.open("b")
		users := "/users/" + c.f.Param + "/up"
		named := Options{Exclude: []string{"/one/health", "/one/static/..."}, Routes: []string{"/one" + users}}
		for mounted, how := range map[bool]string{false: "a group", true: "a mounted router"} {
			c.Run(how, func(t *testing.T) {
				c := newCheck(t, c.f)
				group := func(prefix string, o Options) Group {
					return Group{Prefix: prefix, Mounted: mounted, Guards: []Guard{{Guard: open, Options: o}}, Routes: []Route{
						{"/health", nil, say("ok")}, {"/pay", nil, say("ok")}, {"/static/a", nil, say("ok")}, {users, nil, say("ok")},
					}}
				}
				c.serve(Spec{
					Groups: []Group{group("/one", named), group("/two", named), group("/three", Options{}), group("/ready", Options{})},
					Routes: []Route{{"/health", nil, say("free")}},
				})
				want := map[string]bool{"/one/health": true, "/one/static/a": true, "/one/users/7/up": !c.f.Unrouted}
				for _, prefix := range []string{"/one", "/two", "/three", "/ready"} {
					for _, p := range []string{"/health", "/pay", "/static/a", "/users/7/up"} {
						if p = prefix + p; want[p] {
							c.want(c.get(p), 200, "ok")
							continue
						}
						c.wantProblem(c.get(p), 503, "unavailable")
					}
				}
				c.want(c.get("/health"), 200, "free")
				c.stop()
			})
		}
	}},
	{"routes are excluded as the router has them", func(c *check) {
		open := c.open("b")
		route := "/users/" + c.f.Param
		c.serve(Spec{Routes: []Route{
			{route + "/up", []Guard{{Guard: open, Options: Options{Routes: []string{route + "/up"}}}}, say("up")},
			{route, []Guard{{Guard: open, Options: Options{Routes: []string{route + "/up"}}}}, say("user")},
		}})
		c.want(c.get("/users/7/up"), 200, "up")
		c.wantProblem(c.get("/users/7"), 503, "unavailable")
		c.settle()
	}},
	{"a route of the whole program is excluded if it is known, and never another", func(c *check) {
		route := "/users/" + c.f.Param
		guard := Guard{Guard: c.open("b"), Options: Options{Exclude: []string{}, Routes: []string{route, "/", "/*", "/..."}}}
		c.serve(Spec{Everywhere: []Guard{guard}, Routes: []Route{{route, nil, say("user")}, {"/pay", nil, say("paid")}}})
		if got := c.get("/users/7"); c.f.Unrouted {
			c.wantProblem(got, 503, "unavailable")
		} else {
			c.want(got, 200, "user")
		}
		for _, p := range []string{"/pay", "/users", "/nowhere"} {
			c.wantProblem(c.get(p), 503, "unavailable")
		}
		c.settle()
	}},
}

// spellings are targets of requests that might be taken for an unguarded path by a guard, and
// for a guarded one by a router.
func spellings(unguarded, guarded string) []string {
	var all []string
	up := strings.Count(unguarded, "/")
	for _, parent := range []string{"..", "%2e%2e", "%2E.", ".%2e", "..;", "..%00", "%252e%252e"} {
		for _, slash := range []string{"/", "//", "%2f", "%2F", "\\", "%5c", "/./", "%252f"} {
			all = append(all, unguarded+slash+strings.Repeat(parent+slash, up-1)+parent+guarded)
		}
	}
	for _, between := range []string{"?", "#", ";", "%3f", "%23", "%00", "%20", "%09", "/", "//", "/;/", "/*", ":", "@", "%2f..%2f", ""} {
		all = append(all, unguarded+between+guarded, guarded+between+unguarded, "/"+unguarded+between+guarded, "//x"+unguarded+between+guarded)
	}
	for _, host := range []string{"http://x", "http://x/", "http://x" + unguarded, "http:/" + unguarded, "//x", "//x" + unguarded, "*", "http://" + unguarded[1:]} {
		all = append(all, host+guarded, host+"/.."+guarded)
	}
	encoded := guarded[:1] + "%" + strings.ToUpper(hex(guarded[1])) + guarded[2:]
	return append(all, guarded, guarded+"/", "/"+guarded, "/."+guarded, encoded, strings.ToUpper(guarded), guarded+"/..", guarded+"/.", guarded+"%2f", guarded+";a=b")
}

func hex(b byte) string { return string([]byte{"0123456789abcdef"[b>>4], "0123456789abcdef"[b&15]}) }
