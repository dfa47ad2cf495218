package conformance

import (
	"net/http"
	"runtime"
	"sync"

	"github.com/bulwark-go/bulwark/patterns/circuitbreaker"
	"github.com/bulwark-go/bulwark/patterns/loadshedder"
)

// loads are many clients at once.
var loads = []named{
	{"an overload is answered by 200 and 503 and nothing else, and every permit comes back", func(c *check) {
		room := c.room(2)
		edge := must[*loadshedder.Shedder](c)(loadshedder.Spawn(c.guards, "edge", loadshedder.Config{MaxInFlight: 12}))
		b := must[*circuitbreaker.Breaker](c)(circuitbreaker.Spawn(c.guards, "quiet", circuitbreaker.Config{}))
		c.one(func(x Exchange) error {
			for range 50 { // let the others come
				runtime.Gosched()
			}
			return x.Answer(http.StatusOK, "ok")
		}, Guard{Guard: edge}, Guard{Guard: b}, Guard{Guard: room})
		const clients, each = 24, 40
		var (
			mu   sync.Mutex
			wg   sync.WaitGroup
			seen = make(map[int]int)
		)
		for range clients {
			wg.Go(func() {
				for range each {
					got := c.get("/pay")
					mu.Lock()
					seen[got.status]++
					mu.Unlock()
					switch {
					case got.err != nil:
						c.Error(got.err)
					case got.status == http.StatusServiceUnavailable && got.header.Get("Retry-After") == "":
						c.Errorf("got %v", got.header)
					}
				}
			})
		}
		wg.Wait()
		if seen[200]+seen[503] != clients*each || seen[200] == 0 {
			c.Errorf("got %v", seen)
		}
		n := c.settle()[0]
		if n.Success != uint64(seen[200]) {
			c.Errorf("got %+v of %v", n, seen)
		}
	}},
}
