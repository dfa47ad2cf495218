package nethttp_test

import (
	"errors"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/bulwark-go/bulwark/integrations/nethttp"
	"github.com/bulwark-go/bulwark/patterns/timeout"
)

func TestAnAbandonedHandlerSendsNoFileEither(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, make([]byte, 1<<16), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, begun := range []bool{false, true} {
		g := newTimeout(t, registry(t), timeout.Config{PerAttempt: 50 * time.Millisecond, Abandon: true})
		leave, left := make(chan bool), make(chan error, 1)
		s := serve(t, nethttp.Guard(g)(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			if begun {
				w.(http.Flusher).Flush()
			}
			<-leave
			n, err := io.Copy(w, open(t, file))
			if n != 0 {
				t.Errorf("%d bytes were sent", n)
			}
			left <- err
		})))
		got := get(t, s, "/")
		close(leave)
		if err := next(t, left); !errors.Is(err, http.ErrHandlerTimeout) {
			t.Errorf("begun %v: %v", begun, err)
		}
		if begun == (got.err == nil) {
			t.Errorf("begun %v: got %d %q, %v", begun, got.status, got.body, got.err)
		}
	}
}

// A client that gets 408 must not use its connection again (RFC 9110, section 15.5.9).
func TestARequestTimeoutEndsItsConnection(t *testing.T) {
	g := newTimeout(t, registry(t), timeout.Config{PerAttempt: time.Millisecond})
	waits := http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() })
	for status, ends := range map[int]bool{http.StatusRequestTimeout: true, http.StatusGatewayTimeout: false} {
		s := serve(t, nethttp.Guard(g, nethttp.TimeoutStatus(status))(waits))
		w := dial(t, s, "GET / HTTP/1.1\nHost: x\n\n")
		response, err := http.ReadResponse(w.r, nil)
		if err != nil {
			t.Fatal(err)
		}
		text, _ := io.ReadAll(response.Body)
		_ = response.Body.Close()
		if response.StatusCode != status || response.Close != ends || !strings.Contains(string(text), "timeout") {
			t.Errorf("%d: got %+v", status, response)
		}
		_ = w.Close()
	}
}
