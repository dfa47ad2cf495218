package nethttp_test

import (
	"net/http"
	"testing"
	"time"

	"github.com/bulwark-go/bulwark/actors/actorstest"
	"github.com/bulwark-go/bulwark/integrations/nethttp"
	"github.com/bulwark-go/bulwark/internal/redistest"
	"github.com/bulwark-go/bulwark/patterns/ratelimiter"
	redislimiter "github.com/bulwark-go/bulwark/patterns/ratelimiter/redis"
)

var _ nethttp.Limiter = (*redislimiter.Limiter)(nil)

// Two instances tell their clients what is left of the one limit.
func TestInstancesTellWhatIsLeftOfALimitThatTheyShare(t *testing.T) {
	url := "redis://" + redistest.Start(t).Addr()
	leavesNothing(t)
	handler := func() http.Handler {
		l, err := redislimiter.Spawn(actorstest.NewRegistry(t), "api", redislimiter.Config{
			Rate: ratelimiter.MustParse("3/hour"), URL: url, Timeout: 10 * time.Second, OnOutage: redislimiter.FailClosed,
		})
		if err != nil {
			t.Fatal(err)
		}
		return nethttp.RateLimit(l)(say("ok"))
	}
	first, second := handler(), handler() // before any server, so that all end after them
	one, other := serve(t, first), serve(t, second)
	for i, left := range []string{"2", "1", "0"} {
		s := one
		if i%2 == 1 {
			s = other
		}
		got := get(t, s, "/")
		wantBody(t, got, http.StatusOK, "ok")
		wantHeaders(t, got, map[string]string{
			"RateLimit-Policy": `"api";q=3;w=3600`, "X-RateLimit-Limit": "3", "X-RateLimit-Remaining": left, "Retry-After": "",
		})
	}
	got := get(t, other, "/")
	wantHeaders(t, got, map[string]string{"X-RateLimit-Remaining": "0", "Retry-After": "1200"})
	if got.status != http.StatusTooManyRequests {
		t.Errorf("status %d", got.status)
	}
}
