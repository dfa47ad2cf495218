package conformance

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
	{"nobody gets around a guard by a path that looks like an excluded one", func(c *check) {
		open := c.open("b")
		guards := []Guard{{Guard: open, Options: Options{Exclude: []string{"/static/...", "/api/*/up"}}}}
		c.serve(Spec{Everywhere: guards, Routes: []Route{{"/static/a", nil, say("ok")}, {"/pay", nil, say("paid")}, {"/api/v1/up", nil, say("ok")}}})
		for _, p := range []string{"/static/a", "/api/v1/up"} {
			c.want(c.get(p), 200, "ok")
		}
		for _, p := range []string{
			"/pay", "/static/../pay", "/static/%2e%2e/pay", "/static/..%2fpay", "//static/../pay", "/static//../pay", "/api/v1/x/up",
			"/%73tatic/../pay", "/static\\..\\pay", "/STATIC/../pay", "/static/..;/pay",
		} {
			w := c.dial("GET " + p + " HTTP/1.1\nHost: x\nConnection: close\n\n")
			if got := w.status(); got == "200" {
				c.Errorf("%s: %s", p, got)
			}
		}
		c.settle()
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
}
