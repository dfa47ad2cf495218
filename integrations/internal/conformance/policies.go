package conformance

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/bulwark-go/bulwark/integrations/internal/single"
	"github.com/bulwark-go/bulwark/patterns"
	"github.com/bulwark-go/bulwark/patterns/hedge"
	"github.com/bulwark-go/bulwark/patterns/pipeline"
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
			c.late(x, release)
			x.SetHeader("X-Mine", "1")
			err := x.Answer(http.StatusOK, "secret")
			returned <- err
			return err
		}, Guard{Guard: g})
		c.wantProblem(c.get("/pay"), 503, "timeout")
		close(release)
		_ = next(c, returned) // which it may have got through, and may not
		c.stop()
		if _, n := c.books[0](); n.InFlight != 0 || !n.Balanced() {
			c.Errorf("got %+v", n)
		}
	}},
	{"a handler that was abandoned writes into nobody's response, and its permit is back once", func(c *check) {
		const rounds = 6
		outer, inner := c.room(100), watch(c.roomOf("inner", 100))
		line := c.line(outer, c.timeout(20*time.Millisecond, true), inner)
		release := make(chan struct{})
		c.serve(Spec{Routes: []Route{
			{"/pay", []Guard{{Guard: line}}, func(x Exchange) error {
				c.late(x, release)
				for range 3 {
					x.SetHeader("X-Mine", "1")
					_ = x.Answer(http.StatusOK, "secret")
				}
				_ = x.Fail(http.StatusInternalServerError, "secret")
				return x.Stream(func(w io.Writer, flush func() error) {
					for range 3 {
						_, _ = io.WriteString(w, "secret")
						_ = flush()
					}
				})
			}},
			{"/fine", []Guard{{Guard: c.room(100)}}, func(x Exchange) error { return x.Answer(http.StatusOK, x.Header("X-Id")) }},
		}})
		fine := func(n int) {
			id := strconv.Itoa(n)
			got := c.get("/fine", "X-Id", id)
			c.want(got, 200, id)
			if got.header.Get("X-Mine") != "" {
				c.Errorf("%d: got %v", n, got.header)
			}
		}
		for i := range rounds { // on connections that are used again where they can be
			got := c.get("/pay")
			c.wantProblem(got, 503, "timeout")
			if got.header.Get("X-Mine") != "" {
				c.Errorf("got %v", got.header)
			}
			fine(i)
		}
		var wg sync.WaitGroup
		for i := range 4 {
			wg.Go(func() {
				for j := range 10 {
					fine(100*i + j)
				}
			})
		}
		close(release)
		wg.Wait()
		for range rounds {
			next(c, inner.ended)
		}
		for i, n := range c.settle()[:2] {
			if n.Granted != rounds || n.Reported != rounds {
				c.Errorf("%d: got %+v", i, n)
			}
		}
	}},
	{"a native answer does not touch what an abandoned handler is at work on", func(c *check) {
		room := watch(c.room(10))
		g := c.line(c.timeout(20*time.Millisecond, true), room)
		release := make(chan struct{})
		c.one(func(x Exchange) error {
			c.late(x, release)
			if x.Header("X-Id") != "mine" || x.Context().Err() == nil {
				c.Errorf("the handler has another's request: %q, %v", x.Header("X-Id"), x.Context().Err())
			}
			x.SetHeader("X-Mine", "1")
			return x.Answer(http.StatusOK, "secret")
		}, Guard{Guard: g, Options: Options{Sorry: "sorry"}})
		got := c.get("/pay", "X-Id", "mine")
		c.want(got, Teapot, "sorry: timeout")
		if got.header.Get("X-Mine") != "" {
			c.Errorf("got %v", got.header)
		}
		close(release)
		next(c, room.ended)
		if n := c.settle()[0]; n.Granted != 1 {
			c.Errorf("got %+v", n)
		}
	}},
	{"a slow body keeps nobody's permit once its client has the timeout's answer", func(c *check) {
		room := watch(c.room(1))
		g := c.line(c.timeout(30*time.Millisecond, true), room)
		c.one(func(x Exchange) error {
			if _, err := x.Body(); err == nil {
				c.Error("half a body looks whole")
			}
			return x.Answer(http.StatusBadRequest, "")
		}, Guard{Guard: g})
		w := c.dial("POST /pay HTTP/1.1\nHost: x\nContent-Length: 1000\n\nhalf")
		if !c.f.Buffers {
			if got := w.status(); got != "503" {
				c.Errorf("got %q", got)
			}
			next(c, room.ended) // while its client is still there
			return
		}
		_ = w.Close()
		if n := c.settle()[0]; n.Asked != 0 {
			c.Errorf("got %+v", n)
		}
	}},
	{"a panic behind policies is a failure, also of a handler that was abandoned", func(c *check) {
		for where, name := range map[Recovery]string{Outside: "outside", Inside: "inside"} {
			for _, abandon := range []bool{false, true} {
				c.Run(fmt.Sprintf("%s, abandon: %v", name, abandon), func(t *testing.T) {
					c := newCheck(t, c.f)
					room := watch(c.room(1))
					soon := c.timeout(hung, abandon)
					short := c.line(must[*timeout.Timeout](c)(timeout.Spawn(c.guards, "short", timeout.Config{PerAttempt: 20 * time.Millisecond, Abandon: true})), watch(c.roomOf("few", 10)))
					release, returned := make(chan struct{}), make(chan struct{})
					c.serve(Spec{Recovery: where, Routes: []Route{
						{"/pay", []Guard{{Guard: c.line(soon, room)}}, func(Exchange) error { panic("secret") }},
						{"/late", []Guard{{Guard: short}}, func(x Exchange) error {
							defer close(returned)
							c.late(x, release)
							panic("secret")
						}},
					}})
					for range 3 { // so the one permit is back each time
						if got := c.get("/pay"); got.status != 500 || got.err != nil {
							c.Errorf("got %+v", got)
						}
					}
					if got := c.get("/late"); !c.f.Waits || got.status != 500 { // it panicked before it was abandoned
						c.wantProblem(got, 503, "timeout")
					}
					close(release)
					next(c, returned)
					c.stop()
					if _, n := c.books[0](); n.Failure != 3 || n.InFlight != 0 || !n.Balanced() {
						c.Errorf("got %+v", n)
					}
				})
			}
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
		again := c.again(time.Millisecond)
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
			c.wantOutcome(c.settle()[0], patterns.Counts{Failure: 1})
			return
		}
		c.want(got, 200, "third")
		c.wantOutcome(c.settle()[0], patterns.Counts{Failure: 2, Success: 1})
	}},
	{"no policy has a handler called twice that is called once", func(c *check) {
		var calls atomic.Int32
		second := make(chan error, 1)
		c.one(func(x Exchange) error {
			calls.Add(1)
			return x.Answer(500, "mine")
		}, Guard{Guard: insisting{second}})
		c.want(c.get("/pay"), 500, "mine")
		want := map[bool]int32{true: 1, false: 2}[c.f.CallsOnce]
		if got, err := calls.Load(), next(c, second); got != want || errors.Is(err, patterns.ErrRejected) != c.f.CallsOnce {
			c.Errorf("%d calls, the second came to: %v", got, err)
		}
		c.settle()
	}},
	{"who cannot be served again does not wait for a retry", func(c *check) {
		b := c.breaker("b")
		c.one(func(x Exchange) error {
			if _, err := x.Body(); err != nil {
				return err
			}
			return x.Answer(500, "mine")
		}, Guard{Guard: c.line(c.again(10*hung), b)}) // longer than the client waits
		c.want(c.do(http.MethodPost, "/pay", strings.NewReader("all")), 500, "mine")
		if c.f.CallsOnce {
			c.want(c.get("/pay"), 500, "mine")
		}
		if n := c.settle()[0]; n.Failure != n.Asked || n.Asked == 0 {
			c.Errorf("got %+v", n)
		}
	}},
	{"a retry asks a guard inside again that has refused, and then the handler is called", func(c *check) {
		b := c.open("b")
		var refused atomic.Int32
		again := must[*retry.Retry](c)(retry.Spawn(c.guards, "again", retry.Config{
			Attempts: 3, RetryRejected: true, Backoff: retry.Constant(time.Millisecond),
		}))
		c.one(say("ok"), Guard{Guard: c.line(again, refusing{b, func() {
			if refused.Add(1) == 2 {
				if err := b.Reset(c.Context()); err != nil {
					c.Error(err)
				}
			}
		}})})
		c.want(c.get("/pay"), 200, "ok")
		if n := c.settle()[0]; n.Rejected != 2 || n.Success != 1 {
			c.Errorf("got %+v", n)
		}
	}},
	{"there are no hedges where a handler is called once", func(c *check) {
		beside := must[*hedge.Hedge](c)(hedge.Spawn(c.guards, "beside", hedge.Config{Delay: time.Millisecond}))
		inner := c.line(c.breaker("b"), beside)
		for _, g := range []patterns.Guard{beside, inner, must[*pipeline.Pipeline](c)(pipeline.New("outer", c.room(1), inner))} {
			err := c.f.New(g)
			if !c.f.CallsOnce {
				if err != nil {
					c.Error(err)
				}
				continue
			}
			if !errors.Is(err, single.ErrHedge) || !strings.Contains(err.Error(), `"beside"`) {
				c.Errorf("got %v", err)
			}
		}
		if err := c.f.New(c.line(c.again(time.Second))); err != nil {
			c.Error(err)
		}
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

// late waits until its request has taken too long, and its client has an answer, where that
// does not wait for the handler.
func (c *check) late(x Exchange, release <-chan struct{}) {
	<-x.Context().Done()
	if !c.f.Waits {
		<-release
	}
}

func (c *check) again(wait time.Duration) *retry.Retry {
	c.Helper()
	return must[*retry.Retry](c)(retry.Spawn(c.guards, "again", retry.Config{Attempts: 3, Backoff: retry.Constant(wait)}))
}

// insisting is a policy that makes every call twice, whatever comes of it.
type insisting struct{ second chan<- error }

func (insisting) Name() string             { return "insisting" }
func (i insisting) Terms() *patterns.Terms { return &patterns.Terms{Policy: i} }

func (insisting) Acquire(context.Context) (patterns.Permit, error) {
	return patterns.Permit{}, patterns.ErrPolicy
}

func (insisting) AcquireFor(context.Context, patterns.Request) (patterns.Permit, error) {
	return patterns.Permit{}, patterns.ErrPolicy
}

// Around implements patterns.Policy.
func (i insisting) Around(ctx context.Context, call patterns.Call) error {
	err := call.Try(ctx)
	i.second <- call.Try(ctx)
	return err
}

// refusing is a guard that tells of refusals.
type refusing struct {
	patterns.Guard
	told func()
}

// Acquire implements patterns.Guard.
func (r refusing) Acquire(ctx context.Context) (patterns.Permit, error) {
	return r.AcquireFor(ctx, patterns.Request{})
}

// AcquireFor implements patterns.Guard.
func (r refusing) AcquireFor(ctx context.Context, q patterns.Request) (patterns.Permit, error) {
	p, err := r.Guard.AcquireFor(ctx, q)
	if err != nil {
		r.told()
	}
	return p, err
}
