package nethttp_test

import (
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/bulwark-go/bulwark/integrations/nethttp"
	"github.com/bulwark-go/bulwark/patterns/bulkhead"
	"github.com/bulwark-go/bulwark/patterns/circuitbreaker"
)

// nowhere is where a response goes that nobody reads.
type nowhere struct{ header http.Header }

func (w nowhere) Header() http.Header       { return w.header }
func (nowhere) Write(p []byte) (int, error) { return len(p), nil }
func (nowhere) WriteHeader(int)             {}
func (nowhere) Flush()                      {}

func TestAllocationsOfAGuardedRequestAreNone(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector allocates")
	}
	guards, body := registry(t), []byte("ok")
	h := nethttp.Guard(newBreaker(t, guards, circuitbreaker.Config{}))(
		nethttp.Guard(newRoom(t, guards, bulkhead.Config{}), nethttp.Key(nethttp.ByHeader("X-Api-Key")))(
			http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
				_, _ = w.Write(body)
				w.(http.Flusher).Flush()
			})))
	var w http.ResponseWriter = nowhere{make(http.Header)}
	r := httptest.NewRequest(http.MethodGet, "/pay", nil)
	r.Header.Set("X-Api-Key", "a")
	if n := testing.AllocsPerRun(1000, func() { h.ServeHTTP(w, r) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}
