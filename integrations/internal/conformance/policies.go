package conformance

import (
	"io"
	"net/http"
	"sync/atomic"
	"time"

	"github.com/bulwark-go/bulwark/patterns"
	"github.com/bulwark-go/bulwark/patterns/retry"
	"github.com/bulwark-go/bulwark/patterns/timeout"
)

func (c *check) timeout(d time.Duration, abandon bool) *timeout.Timeout {
	c.Helper()
	return must[*timeout.Timeout](c)(timeout.Spawn(c.guards, "soon", timeout.Config{PerAttempt: d, Abandon: abandon}))
}

// policies are what is done around a handler.
var policies = []named{
	{"what takes too long is answered for the handler", func(c *check) {
		b := c.breaker("b")
		g := c.line(b, c.timeout(30*time.Millisecond, false))
		c.serve(Spec{Routes: []Route{
			{"/pay", []Guard{{Guard: g}}, late},
			{"/gateway", []Guard{{Guard: g, Options: Options{Late: 504}}}, late},
			{"/client", []Guard{{Guard: g, Options: Options{Late: 408}}}, late},
			{"/sorry", []Guard{{Guard: g, Options: Options{Sorry: "sorry"}}}, late},
		}})
		c.wantProblem(c.get("/pay"), 503, "timeout")
		c.wantProblem(c.get("/gateway"), 504, "timeout")
		c.wantProblem(c.get("/client"), 408, "timeout")
		got := c.get("/sorry")
		c.want(got, Teapot, "sorry: timeout")
		if got.header.Get("X-Mine") != "" {
			c.Errorf("the handler's header is there: %v", got.header)
		}
		c.stop()
		if _, n := c.books[0](); n.Failure+n.Dropped+n.Reclaimed != 4 || n.InFlight != 0 || !n.Balanced() {
			c.Errorf("got %+v", n)
		}
	}},
	{"a handler that does not listen is abandoned", func(c *check) {
		g := c.line(c.breaker("b"), c.timeout(30*time.Millisecond, true))
		release, returned := make(chan struct{}), make(chan error, 1)
		c.one(func(x Exchange) error {
			<-release
			x.SetHeader("X-Mine", "1")
			err := x.Answer(http.StatusOK, "secret")
			returned <- err
			return err
		}, Guard{Guard: g})
		answer := make(chan reply, 1)
		go func() { answer <- c.get("/pay") }()
		var got reply
		if c.f.Waits {
			close(release)
			got = next(c, answer)
		} else {
			got = next(c, answer)
			close(release)
		}
		_ = next(c, returned) // which it may have got through, and may not
		if c.f.Waits && got.status == http.StatusOK {
			c.want(got, 200, "secret") // it was released in time
		} else {
			c.wantProblem(got, 503, "timeout")
		}
		c.stop()
		if _, n := c.books[0](); n.InFlight != 0 || !n.Balanced() {
			c.Errorf("got %+v", n)
		}
	}},
	{"a fallback answers in place of a failure, and of a refusal", func(c *check) {
		b := c.breaker("b")
		g := c.line(c.f.Fallback(c.T, c.guards, 203, "instead"), b)
		c.serve(Spec{Routes: []Route{
			{"/pay", []Guard{{Guard: g}}, func(x Exchange) error {
				x.SetHeader("X-Mine", "1")
				return x.Answer(500, "secret")
			}},
			{"/error", []Guard{{Guard: g}}, func(x Exchange) error { return x.Fail(500, "secret") }},
			{"/fine", []Guard{{Guard: g}}, say("fine")},
		}})
		for _, path := range []string{"/pay", "/error"} {
			got := c.get(path)
			c.want(got, 203, "instead")
			if got.header.Get("X-Mine") != "" {
				c.Errorf("the handler's header is there: %v", got.header)
			}
		}
		c.want(c.get("/fine"), 200, "fine")
		if err := b.ForceOpen(c.Context(), 0, ""); err != nil {
			c.Fatal(err)
		}
		c.want(c.get("/fine"), 203, "instead")
		c.wantOutcome(c.settle()[0], patterns.Counts{Failure: 2, Success: 1})
	}},
	{"a handler is called again by a retry, where it can be", func(c *check) {
		again := must[*retry.Retry](c)(retry.Spawn(c.guards, "again", retry.Config{Attempts: 3, Backoff: retry.Constant(time.Millisecond)}))
		b := c.breaker("b")
		var calls atomic.Int32
		c.one(func(x Exchange) error {
			if calls.Add(1) < 3 {
				x.SetHeader("X-Mine", "1")
				return x.Answer(500, "mine")
			}
			return say("third")(x)
		}, Guard{Guard: c.line(again, b)})
		got := c.get("/pay")
		if c.f.CallsOnce {
			c.want(got, 500, "mine")
			c.wantOutcome(c.settle()[0], patterns.Counts{Failure: 1, Ignored: c.books0().Ignored})
			return
		}
		c.want(got, 200, "third")
		c.wantOutcome(c.settle()[0], patterns.Counts{Failure: 2, Success: 1})
	}},
	{"a stream passes through policies", func(c *check) {
		g := c.line(c.breaker("b"), c.timeout(hung, false))
		c.one(func(x Exchange) error {
			return x.Stream(func(w io.Writer, flush func() error) {
				for range 3 {
					_, _ = io.WriteString(w, "tick")
					_ = flush()
				}
			})
		}, Guard{Guard: g})
		c.want(c.get("/pay"), 200, "ticktickticktick"[:12])
		c.wantOutcome(c.settle()[0], patterns.Counts{Success: 1})
	}},
}

// late is a handler that notices that it took too long.
func late(x Exchange) error {
	x.SetHeader("X-Mine", "1")
	<-x.Context().Done()
	return x.Answer(http.StatusOK, "secret")
}

func (c *check) books0() patterns.Counts {
	_, n := c.books[0]()
	return n
}
