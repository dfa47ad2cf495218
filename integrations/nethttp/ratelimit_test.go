package nethttp_test

import (
	"context"
	"errors"
	"net/http"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/bulwark-go/bulwark/actors"
	"github.com/bulwark-go/bulwark/integrations/nethttp"
	"github.com/bulwark-go/bulwark/patterns/ratelimiter"
)

func files(t testing.TB, dir string) int {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	return len(entries)
}

func newLimiter(t testing.TB, guards *actors.Registry, name, rate string) *ratelimiter.Limiter {
	t.Helper()
	return must[*ratelimiter.Limiter](t)(ratelimiter.Spawn(guards, name, ratelimiter.Config{Rate: ratelimiter.MustParse(rate)}))
}

func wantHeaders(t testing.TB, got reply, want map[string]string) {
	t.Helper()
	for name, v := range want {
		if g := strings.Join(got.header.Values(name), ", "); g != v {
			t.Errorf("%s: got %q, want %q", name, g, v)
		}
	}
}

func TestEveryAnswerTellsAClientWhatIsLeft(t *testing.T) {
	l := newLimiter(t, registry(t), "api", "3/hour")
	s := serve(t, nethttp.RateLimit(l)(say("ok")))
	for _, left := range []string{"2", "1", "0"} {
		got := get(t, s, "/")
		wantBody(t, got, 200, "ok")
		wantHeaders(t, got, map[string]string{
			"RateLimit-Policy": `"api";q=3;w=3600`, "X-RateLimit-Limit": "3", "X-RateLimit-Remaining": left, "Retry-After": "",
		})
		if state := got.header.Get("RateLimit"); !strings.HasPrefix(state, `"api";r=`+left+`;t=`) {
			t.Error(state)
		}
	}
	refused := get(t, s, "/")
	wantProblem(t, refused, http.StatusTooManyRequests, "rate-limited")
	wantHeaders(t, refused, map[string]string{
		"RateLimit-Policy": `"api";q=3;w=3600`, "X-RateLimit-Limit": "3", "X-RateLimit-Remaining": "0", "Retry-After": "1200",
	})
	unlimited := get(t, s, "/health")
	wantBody(t, unlimited, 200, "ok")
	wantHeaders(t, unlimited, map[string]string{"RateLimit": "", "X-RateLimit-Limit": ""})
}

func TestOfSeveralRatesTheOldHeadersAreAboutTheScarcest(t *testing.T) {
	guards := registry(t)
	wide, narrow := newLimiter(t, guards, "wide", "100/hour"), newLimiter(t, guards, "narrow", "2/hour")
	for _, h := range []http.Handler{
		nethttp.RateLimit(wide)(nethttp.RateLimit(narrow)(say("ok"))),
		nethttp.RateLimit(narrow)(nethttp.RateLimit(wide)(say("ok"))),
	} {
		got := get(t, serve(t, h), "/")
		wantHeaders(t, got, map[string]string{"X-RateLimit-Limit": "2"})
		if n := len(got.header.Values("RateLimit")); n != 2 {
			t.Errorf("%d rates are told of", n)
		}
	}
}

func TestARequestHeavierThanTheRateIsInvalid(t *testing.T) {
	l := newLimiter(t, registry(t), "api", "3/hour")
	s := serve(t, nethttp.RateLimit(l, nethttp.Weight(func(*http.Request) int { return 4 }))(say("ok")))
	wantProblem(t, get(t, s, "/"), http.StatusBadRequest, "invalid")
}

func TestAWeightOfNothingIsNotForNothing(t *testing.T) {
	l := newLimiter(t, registry(t), "api", "2/hour")
	weights := map[string]int{"/none": 0, "/less": -1}
	s := serve(t, nethttp.RateLimit(l, nethttp.Weight(func(r *http.Request) int { return weights[r.URL.Path] }))(say("ok")))
	if got := get(t, s, "/less"); got.status == 200 {
		t.Errorf("less than nothing: got %d", got.status)
	}
	for i, want := range []int{200, 200, 429} {
		if got := get(t, s, "/none"); got.status != want {
			t.Errorf("%d: got %d, want %d", i, got.status, want)
		}
	}
}

func TestUnderOverloadARateIsKept(t *testing.T) {
	const clients, each, rate = 16, 25, 50
	l := newLimiter(t, registry(t), "api", "50/hour")
	var handled atomic.Int64
	s := serve(t, nethttp.RateLimit(l, nethttp.Key(nethttp.ByHeader("X-Api-Key")))(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { handled.Add(1) })))
	var ok, refused, other atomic.Int64
	var all sync.WaitGroup
	for range clients {
		all.Go(func() {
			for range each {
				switch get(t, s, "/", "X-Api-Key", "a\tb").status {
				case 200:
					ok.Add(1)
				case 429:
					refused.Add(1)
				default:
					other.Add(1)
				}
			}
		})
	}
	all.Wait()
	if ok.Load() != rate || handled.Load() != rate || refused.Load() != clients*each-rate || other.Load() != 0 {
		t.Errorf("%d passed, %d were handled, %d refused, %d neither", ok.Load(), handled.Load(), refused.Load(), other.Load())
	}
}

// sharedLimiter is a limiter that is not ours.
type sharedLimiter struct {
	answer ratelimiter.Answer
	err    error
}

func (sharedLimiter) Name() string { return "sha\r\nred" }

func (l sharedLimiter) Take(context.Context, string, int) (ratelimiter.Answer, error) {
	return l.answer, l.err
}

func TestAnyLimiterThatAnswersWillDo(t *testing.T) {
	registry(t)
	for _, c := range []struct {
		name    string
		limiter sharedLimiter
		status  int
		headers map[string]string
	}{
		{
			"it lets pass",
			sharedLimiter{answer: ratelimiter.Answer{Allowed: true, Rate: ratelimiter.MustParse("5/second"), Limit: 5, Remaining: 4, ResetAfter: time.Millisecond}},
			200,
			map[string]string{"RateLimit": `"sha??red";r=4;t=1`},
		},
		{
			"it refuses",
			sharedLimiter{answer: ratelimiter.Answer{Rate: ratelimiter.MustParse("5/second"), Limit: 5, RetryAfter: 1500 * time.Millisecond, ResetAfter: 2 * time.Second}},
			429,
			map[string]string{"Retry-After": "2", "RateLimit": `"sha??red";r=0;t=2`},
		},
		{"it lets all pass", sharedLimiter{answer: ratelimiter.Answer{Allowed: true}}, 200, map[string]string{"RateLimit": ""}},
		{"it does not answer", sharedLimiter{err: &actors.Refusal{Reason: actors.ErrUnavailable}}, 503, map[string]string{"Retry-After": "1"}},
		{"it is broken", sharedLimiter{err: errors.New("redis://secret")}, 500, nil},
	} {
		s := serve(t, nethttp.RateLimit(c.limiter)(say("ok")))
		got := get(t, s, "/")
		if got.status != c.status || strings.Contains(got.body, "secret") {
			t.Errorf("%s: got %d %s", c.name, got.status, got.body)
		}
		wantHeaders(t, got, c.headers)
	}
}
