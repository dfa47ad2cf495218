package conformance

import (
	"context"
	"net/http"
	"runtime"
	"sync"
	"testing"
	"time"

	"github.com/bulwark-go/bulwark/patterns"
	"github.com/bulwark-go/bulwark/patterns/bulkhead"
	"github.com/bulwark-go/bulwark/patterns/circuitbreaker"
	"github.com/bulwark-go/bulwark/patterns/loadshedder"
)

// loads are many clients at once.
var loads = []named{
	{"an overload is answered by 200 and 503 and nothing else, and every permit comes back", func(c *check) {
		room := c.room(2)
		edge := must[*loadshedder.Shedder](c)(loadshedder.Spawn(c.guards, "edge", loadshedder.Config{MaxInFlight: 12}))
		b := must[*circuitbreaker.Breaker](c)(circuitbreaker.Spawn(c.guards, "quiet", circuitbreaker.Config{}))
		c.one(busy, Guard{Guard: edge}, Guard{Guard: b}, Guard{Guard: room})
		seen := c.storm(24, 40, func(got reply) bool {
			return got.status == 200 || got.status == 503 && got.header.Get("Retry-After") != ""
		})
		n := c.settle()[0]
		if n.Success != uint64(seen[200]) {
			c.Errorf("got %+v of %v", n, seen)
		}
	}},
	{"an overload behind policies is answered by 200 and 503 and nothing else", func(c *check) {
		inner, outer := c.room(2), c.roomOf("outer", 8)
		g := c.line(outer, c.timeout(hung, false), c.breaker("b"), inner)
		c.one(busy, Guard{Guard: g})
		seen := c.storm(16, 30, func(got reply) bool {
			return got.status == 200 && got.body == "ok" || got.status == 503 && got.header.Get("Retry-After") != ""
		})
		c.stop()
		for _, book := range c.books { // permits of who was refused inside are given back unused
			if name, n := book(); n.Success != n.Reported || n.Success != uint64(seen[200]) || n.Asked != n.Granted+n.Rejected || n.InFlight != 0 || !n.Balanced() {
				c.Errorf("%s: got %+v of %v", name, n, seen)
			}
		}
	}},
	{"who is above a rate is answered by 429, and nobody else", func(c *check) {
		c.one(busy, Guard{Limiter: c.limiter("api", "50/hour")})
		seen := c.storm(16, 20, func(got reply) bool {
			return got.header.Get("RateLimit") != "" && (got.status == 200 || got.status == 429 && got.header.Get("Retry-After") != "")
		})
		if seen[200] != 50 || seen[429] != 16*20-50 {
			c.Errorf("got %v", seen)
		}
		c.settle()
	}},
	{"of clients that leave while they wait, and such that stay, every one is in the books", func(c *check) {
		room := must[*bulkhead.Bulkhead](c)(bulkhead.Spawn(c.guards, "room", bulkhead.Config{
			MaxConcurrent: 1, MaxWaiting: 100, MaxWait: hung,
		}))
		c.book("room", func(ctx context.Context) patterns.Counts { s, _ := room.Snapshot(ctx); return s.Counts })
		b := c.breaker("b")
		called, release := make(chan struct{}, 100), make(chan struct{})
		c.one(func(x Exchange) error {
			called <- struct{}{}
			<-release
			return x.Answer(http.StatusOK, "ok")
		}, Guard{Guard: room}, Guard{Guard: b})
		const each = 10
		var answers sync.WaitGroup
		var leaving []*raw
		answers.Go(func() { c.want(c.get("/pay"), 200, "ok") })
		next(c, called)
		for range each {
			answers.Go(func() { c.want(c.get("/pay"), 200, "ok") })
			leaving = append(leaving, c.dial("GET /pay HTTP/1.1\nHost: x\n\n"))
		}
		c.until(room, func(n patterns.Counts) bool { return n.Waiting == 2*each })
		for _, w := range leaving {
			_ = w.Close()
		}
		if !c.f.Blind {
			c.until(room, func(n patterns.Counts) bool { return n.Waiting == each && n.Cancelled == each })
		}
		close(release)
		answers.Wait()
		all := c.settle()
		want := patterns.Counts{Asked: 2*each + 1, Granted: each + 1, Cancelled: each}
		if c.f.Blind {
			want.Granted, want.Cancelled = want.Asked, 0
		}
		if n := all[0]; n.Asked != want.Asked || n.Granted != want.Granted || n.Cancelled != want.Cancelled || n.Rejected != 0 {
			c.Errorf("got %+v", n)
		}
		if n := all[1]; n.Granted != want.Granted {
			c.Errorf("got %+v", n)
		}
	}},
}

// busy is a handler that lets others come.
func busy(x Exchange) error {
	for range 50 {
		runtime.Gosched()
	}
	return x.Answer(http.StatusOK, "ok")
}

// storm has so many clients make so many requests each, and returns how often which status came.
// Each answer has to be ok.
func (c *check) storm(clients, each int, ok func(got reply) bool) map[int]int {
	c.Helper()
	var (
		mu   sync.Mutex
		wg   sync.WaitGroup
		seen = make(map[int]int)
	)
	for range clients {
		wg.Go(func() {
			for range each {
				got := c.get("/pay")
				if got.err != nil || !ok(got) {
					c.Errorf("got %+v", got)
				}
				mu.Lock()
				seen[got.status]++
				mu.Unlock()
			}
		})
	}
	wg.Wait()
	if len(seen) < 2 || seen[200] == 0 {
		c.Errorf("that was no overload: %v", seen)
	}
	return seen
}

// until waits for a bulkhead's books to be so.
func (c *check) until(b *bulkhead.Bulkhead, ok func(patterns.Counts) bool) {
	c.Helper()
	Until(c.T, func() bool {
		s, _ := b.Snapshot(c.Context())
		return ok(s.Counts)
	})
}

// Until waits for something that servers do at their own time, and ends a test that waits in vain.
func Until(t testing.TB, ok func() bool) {
	t.Helper()
	for late := time.Now().Add(hung); !ok(); time.Sleep(time.Millisecond) {
		if time.Now().After(late) {
			t.Fatal("it never came to that")
		}
	}
}
