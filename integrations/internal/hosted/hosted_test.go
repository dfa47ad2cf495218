package hosted_test

import (
	"context"
	"net/http"
	"net/http/httptest"
	"testing"
	"testing/synctest"

	"go.uber.org/goleak"

	"github.com/bulwark-go/bulwark/integrations/internal/hosted"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

type around struct{ http.ResponseWriter }

func (a around) Unwrap() http.ResponseWriter { return a.ResponseWriter }

// flushed says so when it is.
type flushed struct {
	*httptest.ResponseRecorder
	done chan bool
}

func (f flushed) Flush() { close(f.done) }

func TestAHostIsFoundBelowOtherWriters(t *testing.T) {
	h := &hosted.Host{ResponseWriter: httptest.NewRecorder()}
	if got := hosted.Of(around{around{h}}); got != h {
		t.Errorf("got %p, want %p", got, h)
	}
	if got := hosted.Of(around{h.ResponseWriter}); got != nil {
		t.Errorf("got %p of a writer without", got)
	}
}

func TestARequestDoesNotEndBeforeItsAbandonedHandler(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := flushed{httptest.NewRecorder(), make(chan bool)}
		h := &hosted.Host{ResponseWriter: w}
		release, served := make(chan bool), make(chan bool)
		abandons := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			h.Begin()
			go func() {
				defer h.End()
				<-release
			}()
			h.Answering(r)
			w.WriteHeader(http.StatusServiceUnavailable)
		})
		go func() {
			h.Serve(abandons, httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/", nil))
			close(served)
		}()
		<-w.done // so the client has its answer
		synctest.Wait()
		select {
		case <-served:
			t.Error("the request ended before its handler")
		default:
		}
		if w.Code != 503 || w.Header().Get("Connection") != "close" || !h.Replaced() {
			t.Errorf("the client has %d, %v", w.Code, w.Header())
		}
		close(release)
		<-served
	})
}

func TestFunctionsOfUsersFindTheFrameworksContext(t *testing.T) {
	type key struct{}
	h := &hosted.Host{Key: key{}, Native: "gin"}
	if got := h.With(context.Background()).Value(key{}); got != "gin" {
		t.Errorf("got %v", got)
	}
}
