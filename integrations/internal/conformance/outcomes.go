package conformance

import (
	"fmt"
	"net/http"
	"testing"

	"github.com/bulwark-go/bulwark/patterns"
)

// outcomes are what a guard learns.
var outcomes = []named{
	{"what a handler answers counts", func(c *check) {
		for _, a := range []struct {
			status int
			want   patterns.Counts
		}{
			{200, patterns.Counts{Success: 1}},
			{204, patterns.Counts{Success: 1}},
			{302, patterns.Counts{Success: 1}},
			{404, patterns.Counts{Success: 1}},
			{429, patterns.Counts{Success: 1}},
			{500, patterns.Counts{Failure: 1}},
			{503, patterns.Counts{Dropped: 1}},
			{504, patterns.Counts{Dropped: 1}},
			{599, patterns.Counts{Failure: 1}},
		} {
			c.Run(fmt.Sprint(a.status), func(t *testing.T) {
				c := newCheck(t, c.f)
				b := c.breaker("b")
				c.one(func(x Exchange) error {
					x.SetHeader("X-Mine", "1")
					return x.Answer(a.status, "")
				}, Guard{Guard: b})
				c.client.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
				if got := c.get("/pay"); got.status != a.status || got.header.Get("X-Mine") != "1" || got.err != nil {
					c.Errorf("got %+v", got)
				}
				c.wantOutcome(c.settle()[0], a.want)
			})
		}
	}},
	{"what the framework makes of an error counts", func(c *check) {
		for status, want := range map[int]patterns.Counts{404: {Success: 1}, 500: {Failure: 1}, 503: {Dropped: 1}} {
			c.Run(fmt.Sprint(status), func(t *testing.T) {
				c := newCheck(t, c.f)
				b := c.breaker("b")
				c.one(func(x Exchange) error { return x.Fail(status, "secret") }, Guard{Guard: b})
				if got := c.get("/pay"); got.status != status || got.err != nil {
					c.Errorf("got %+v", got)
				}
				c.wantOutcome(c.settle()[0], want)
			})
		}
	}},
	{"a panic is a failure, wherever the framework recovers from it", func(c *check) {
		for where, name := range map[Recovery]string{Outside: "outside", Inside: "inside"} {
			c.Run(name, func(t *testing.T) {
				c := newCheck(t, c.f)
				b, room := c.breaker("b"), c.room(1)
				c.serve(Spec{Recovery: where, Routes: []Route{{
					Path: "/pay", Guards: []Guard{{Guard: b}, {Guard: room}},
					Handler: func(Exchange) error { panic("secret") },
				}}})
				for range 3 { // so the one permit is back each time
					if got := c.get("/pay"); got.status != 500 || got.err != nil {
						c.Errorf("got %+v", got)
					}
				}
				all := c.settle()
				c.wantOutcome(all[0], patterns.Counts{Failure: 3})
				c.wantOutcome(all[1], patterns.Counts{Failure: 3})
			})
		}
	}},
	{"a request that a guard inside has refused is ignored", func(c *check) {
		outer, inner := c.breaker("outer"), c.open("inner")
		c.one(say("ok"), Guard{Guard: outer}, Guard{Guard: inner})
		c.wantProblem(c.get("/pay"), 503, "unavailable")
		c.wantOutcome(c.settle()[0], patterns.Counts{Ignored: 1})
	}},
	{"what the framework itself answers counts", func(c *check) {
		b := c.breaker("b")
		c.serve(Spec{Everywhere: []Guard{{Guard: b}}, Routes: []Route{{Path: "/pay", Handler: say("ok")}}})
		c.want(c.get("/pay"), 200, "ok")
		if got := c.get("/nowhere"); got.status != 404 || got.err != nil {
			c.Errorf("got %+v", got)
		}
		c.wantOutcome(c.settle()[0], patterns.Counts{Success: 2})
	}},
	{"a client that leaves is ignored, where that is noticed", func(c *check) {
		b := c.breaker("b")
		called, done := make(chan struct{}), make(chan struct{})
		c.one(func(x Exchange) error {
			close(called)
			if c.f.Blind {
				<-done
			} else {
				<-x.Context().Done()
			}
			return x.Answer(500, "")
		}, Guard{Guard: b})
		w := c.dial("GET /pay HTTP/1.1\nHost: x\n\n")
		next(c, called)
		_ = w.Close()
		close(done)
		want := patterns.Counts{Ignored: 1}
		if c.f.Blind {
			want = patterns.Counts{Failure: 1}
		}
		c.wantOutcome(c.settle()[0], want)
	}},
}

// wantOutcome checks the outcomes in a guard's books.
func (c *check) wantOutcome(got, want patterns.Counts) {
	c.Helper()
	if got.Success != want.Success || got.Failure != want.Failure || got.Dropped != want.Dropped || got.Ignored != want.Ignored {
		c.Errorf("got %+v, want %d, %d, %d, %d", got, want.Success, want.Failure, want.Dropped, want.Ignored)
	}
}
