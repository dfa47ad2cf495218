package nethttp_test

import (
	"bufio"
	"bytes"
	"crypto/sha1"
	"encoding/base64"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/bulwark-go/bulwark/integrations/nethttp"
	"github.com/bulwark-go/bulwark/patterns"
	"github.com/bulwark-go/bulwark/patterns/bulkhead"
	"github.com/bulwark-go/bulwark/patterns/circuitbreaker"
	"github.com/bulwark-go/bulwark/patterns/pipeline"
	"github.com/bulwark-go/bulwark/patterns/timeout"
)

// guarding is a guard that a handler is put behind, and the guard whose permits are counted.
type guarding struct {
	name  string
	guard func(t *testing.T) (patterns.Guard, counted)
}

// guardings are a guard of permits, and one within a policy.
func guardings(c bulkhead.Config) []guarding {
	return []guarding{
		{"by permit", func(t *testing.T) (patterns.Guard, counted) {
			g := newRoom(t, registry(t), c)
			return g, g
		}},
		{"by policy", func(t *testing.T) (patterns.Guard, counted) {
			guards := registry(t)
			g := newRoom(t, guards, c)
			soon, err := timeout.Spawn(guards, "soon", timeout.Config{PerAttempt: time.Hour})
			if err != nil {
				t.Fatal(err)
			}
			p, err := pipeline.New("line", soon, g.Bulkhead)
			if err != nil {
				t.Fatal(err)
			}
			return p, g
		}},
	}
}

func TestAStreamHoldsItsPermitToItsEnd(t *testing.T) {
	for _, with := range guardings(bulkhead.Config{MaxConcurrent: 1}) {
		t.Run(with.name, func(t *testing.T) {
			g, room := with.guard(t)
			more := make(chan string)
			s := serve(t, nethttp.Guard(g)(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
				w.Header().Set("Content-Type", "text/event-stream")
				flusher := w.(http.Flusher)
				flusher.Flush()
				for event := range more {
					_, _ = io.WriteString(w, "data: "+event+"\n\n")
					flusher.Flush()
				}
			})))
			response, err := s.Client().Get(s.URL)
			if err != nil {
				t.Fatal(err)
			}
			defer func() { _ = response.Body.Close() }()
			events := bufio.NewReader(response.Body)
			for _, want := range []string{"one", "two"} {
				more <- want
				line, err := events.ReadString('\n')
				if err != nil || line != "data: "+want+"\n" {
					t.Fatalf("got %q, %v", line, err)
				}
				_, _ = events.ReadString('\n')
				wantProblem(t, get(t, s, "/"), http.StatusServiceUnavailable, "overloaded")
			}
			close(more)
			if _, err := io.ReadAll(events); err != nil {
				t.Error(err)
			}
			if n := settled(t, s, room); n.Success != 1 || n.Rejected != 2 {
				t.Errorf("got %+v", n)
			}
		})
	}
}

func TestAnUpgradedConnectionHoldsItsPermitUntilItIsClosed(t *testing.T) {
	for _, with := range guardings(bulkhead.Config{MaxConcurrent: 1}) {
		t.Run(with.name, func(t *testing.T) {
			g, room := with.guard(t)
			connections := make(chan net.Conn, 1)
			s := serve(t, nethttp.Guard(g)(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				sum := sha1.Sum([]byte(r.Header.Get("Sec-WebSocket-Key") + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"))
				c, rw, err := w.(http.Hijacker).Hijack()
				if err != nil {
					t.Error(err)
					return
				}
				_, _ = rw.WriteString("HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n" +
					"Sec-WebSocket-Accept: " + base64.StdEncoding.EncodeToString(sum[:]) + "\r\n\r\n")
				_ = rw.Flush()
				connections <- c // and the handler returns
			})))
			w := dial(t, s, "GET /ws HTTP/1.1\nHost: x\nConnection: Upgrade\nUpgrade: websocket\nSec-WebSocket-Version: 13\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\n\n")
			if got := w.status(); got != "HTTP/1.1 101 Switching Protocols" {
				t.Fatal(got)
			}
			for line := ""; line != "\r\n"; {
				line, _ = w.r.ReadString('\n')
				if strings.HasPrefix(line, "Sec-WebSocket-Accept") && !strings.Contains(line, "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=") {
					t.Error(line)
				}
			}
			c := next(t, connections)
			w.send("ping")
			b := make([]byte, 4)
			if _, err := io.ReadFull(c, b); err != nil || string(b) != "ping" {
				t.Errorf("got %q, %v", b, err)
			}
			wantProblem(t, get(t, s, "/"), http.StatusServiceUnavailable, "overloaded")
			_, _ = c.(io.ReaderFrom).ReadFrom(strings.NewReader("pong"))
			if err := c.(interface{ CloseWrite() error }).CloseWrite(); err != nil {
				t.Error(err)
			}
			if text, err := io.ReadAll(w.r); err != nil || string(text) != "pong" {
				t.Errorf("got %q, %v", text, err)
			}
			wantProblem(t, get(t, s, "/"), http.StatusServiceUnavailable, "overloaded")
			if _, ok := c.(interface{ NetConn() net.Conn }).NetConn().(*net.TCPConn); !ok {
				t.Error("the connection within is not to be had")
			}
			_ = c.Close()
			_ = c.Close() // twice is once
			until(t, func() bool { return room.counts(t.Context()).InFlight == 0 })
			if n := settled(t, s, room); n.Success != 1 || n.Rejected != 2 {
				t.Errorf("got %+v", n)
			}
		})
	}
}

func TestAResponseWriterCanDoWhatTheServersCan(t *testing.T) {
	type abilities struct{ flush, hijack, push, readFrom, closeNotify bool }
	look := func(w http.ResponseWriter) (a abilities) {
		_, a.flush = w.(http.Flusher)
		_, a.hijack = w.(http.Hijacker)
		_, a.push = w.(http.Pusher)
		_, a.readFrom = w.(io.ReaderFrom)
		_, a.closeNotify = w.(interface{ CloseNotify() <-chan bool })
		return a
	}
	for _, with := range guardings(bulkhead.Config{}) {
		for name, start := range map[string]func(testing.TB, http.Handler) *httptest.Server{
			"HTTP/1": func(t testing.TB, h http.Handler) *httptest.Server { return serve(t, h) },
			"HTTP/2": serveHTTP2,
		} {
			t.Run(with.name+", "+name, func(t *testing.T) {
				g, room := with.guard(t)
				var inner, outer abilities
				var errs []error
				h := nethttp.Guard(g)(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
					outer = look(w)
					c := http.NewResponseController(w)
					if w.(interface{ CloseNotify() <-chan bool }).CloseNotify() == nil {
						errs = append(errs, errors.New("nobody tells of a client that leaves"))
					}
					errs = append(errs, c.SetReadDeadline(time.Now().Add(time.Hour)), c.SetWriteDeadline(time.Now().Add(time.Hour)), c.EnableFullDuplex())
					_, err := io.WriteString(w, "a")
					errs = append(errs, err, c.Flush())
					if name == "HTTP/2" {
						_, _, err := c.Hijack()
						if !errors.Is(err, http.ErrNotSupported) {
							errs = append(errs, err)
						}
					}
					_, err = io.Copy(w, strings.NewReader("b"))
					errs = append(errs, err)
				}))
				s := start(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
					inner = look(w)
					h.ServeHTTP(w, r)
				}))
				wantBody(t, get(t, s, "/"), 200, "ab")
				inner.readFrom = true // ours falls back on copying
				if outer != inner || errors.Join(errs...) != nil {
					t.Errorf("got %+v, want %+v, %v", outer, inner, errors.Join(errs...))
				}
				settled(t, s, room)
			})
		}
	}
	g := newRoom(t, registry(t), bulkhead.Config{})
	nethttp.Guard(g)(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		if a := look(w); a != (abilities{readFrom: true}) {
			t.Errorf("a writer that can nothing can %+v", a)
		}
	})).ServeHTTP(bare{httptest.NewRecorder()}, httptest.NewRequest(http.MethodGet, "/", nil))
	nethttp.Guard(g)(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		if a := look(w); a != (abilities{readFrom: true, flush: true, closeNotify: true}) || w.(interface{ CloseNotify() <-chan bool }).CloseNotify() != nil {
			t.Errorf("a writer that can flush can %+v", a)
		}
	})).ServeHTTP(httptest.NewRecorder(), httptest.NewRequest(http.MethodGet, "/", nil))
}

type bare struct{ http.ResponseWriter }

func TestAFileIsSentWhole(t *testing.T) {
	text := bytes.Repeat([]byte("0123456789abcdef"), 64<<10)
	path := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(path, text, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, with := range guardings(bulkhead.Config{}) {
		t.Run(with.name, func(t *testing.T) {
			g, room := with.guard(t)
			s := serve(t, nethttp.Guard(g)(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { http.ServeFile(w, r, path) })))
			wantBody(t, get(t, s, "/file"), 200, string(text))
			part := get(t, s, "/file", "Range", "bytes=16-31")
			wantBody(t, part, http.StatusPartialContent, "0123456789abcdef")
			settled(t, s, room)
		})
	}
}

func TestTrailersAndEarlyHintsArrive(t *testing.T) {
	for _, with := range guardings(bulkhead.Config{}) {
		t.Run(with.name, func(t *testing.T) {
			g, room := with.guard(t)
			s := serve(t, nethttp.Guard(g)(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
				w.Header().Set("Link", "</style.css>")
				w.WriteHeader(http.StatusEarlyHints)
				w.Header().Del("Link")
				w.Header().Set("Trailer", "X-Sum, X-None")
				_, _ = io.WriteString(w, "x")
				w.Header().Set("X-Sum", "1")
				w.Header().Set(http.TrailerPrefix+"X-Late", "2")
				w.Header().Set("X-Too-Late", "3")
			})))
			w := dial(t, s, "GET / HTTP/1.1\nHost: x\nConnection: close\n\n")
			text, err := io.ReadAll(w.r)
			if err != nil {
				t.Fatal(err)
			}
			head, rest, _ := strings.Cut(string(text), "\r\n\r\n")
			if !strings.HasPrefix(head, "HTTP/1.1 103 Early Hints\r\nLink: </style.css>") || strings.Contains(rest, "Link") || strings.Contains(rest, "Too-Late") {
				t.Errorf("got %s", text)
			}
			for _, want := range []string{"HTTP/1.1 200 OK", "X-Sum: 1\r\n", "X-Late: 2\r\n"} {
				if !strings.Contains(rest, want) {
					t.Errorf("%q is not in %s", want, rest)
				}
			}
			settled(t, s, room)
		})
	}
}

func TestAClientThatLeavesInTheMiddleIsNobodysFailure(t *testing.T) {
	for _, c := range []struct {
		name    string
		request string
		handler func(entered chan<- bool) http.HandlerFunc
	}{
		{"of the body that it sends", "POST / HTTP/1.1\nHost: x\nContent-Length: 1000\n\nhalf", func(entered chan<- bool) http.HandlerFunc {
			return func(w http.ResponseWriter, r *http.Request) {
				entered <- true
				_, err := io.ReadAll(r.Body)
				if err == nil {
					t.Error("the body has come")
				}
				http.Error(w, err.Error(), http.StatusInternalServerError)
				<-r.Context().Done()
			}
		}},
		{"of the response", "GET / HTTP/1.1\nHost: x\n\n", func(entered chan<- bool) http.HandlerFunc {
			return func(w http.ResponseWriter, r *http.Request) {
				_, _ = io.WriteString(w, "x")
				_ = http.NewResponseController(w).Flush()
				entered <- true
				<-r.Context().Done()
			}
		}},
		{"and the handler panics", "GET / HTTP/1.1\nHost: x\n\n", func(entered chan<- bool) http.HandlerFunc {
			return func(_ http.ResponseWriter, r *http.Request) {
				entered <- true
				<-r.Context().Done()
				panic(http.ErrAbortHandler)
			}
		}},
	} {
		for _, policy := range []bool{false, true} {
			t.Run(c.name, func(t *testing.T) {
				guards := registry(t)
				b := newBreaker(t, guards, circuitbreaker.Config{ConsecutiveFailures: 1})
				var g patterns.Guard = b
				if policy {
					soon, err := timeout.Spawn(guards, "soon", timeout.Config{})
					if err != nil {
						t.Fatal(err)
					}
					if g, err = pipeline.New("line", soon, b.Breaker); err != nil {
						t.Fatal(err)
					}
				}
				entered := make(chan bool, 1)
				s := serve(t, nethttp.Guard(g)(c.handler(entered)))
				w := dial(t, s, c.request)
				next(t, entered)
				_ = w.Close()
				if n := settled(t, s, b); n.Ignored != 1 {
					t.Errorf("got %+v", n)
				}
			})
		}
	}
}

func TestASlowBodyHoldsAPermitAsLongAsTheServerLetsIt(t *testing.T) {
	for _, with := range guardings(bulkhead.Config{MaxConcurrent: 2}) {
		t.Run(with.name, func(t *testing.T) {
			g, room := with.guard(t)
			entered := make(chan bool, 2)
			s := serve(t, nethttp.Guard(g)(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				entered <- true
				if _, err := io.Copy(io.Discard, r.Body); err != nil {
					w.WriteHeader(http.StatusRequestTimeout)
				}
			})), func(s *httptest.Server) { s.Config.ReadTimeout = 300 * time.Millisecond })
			for range 2 {
				w := dial(t, s, "POST / HTTP/1.1\nHost: x\nContent-Length: 1000\n\n")
				w.send("a")
				next(t, entered)
			}
			wantProblem(t, get(t, s, "/"), http.StatusServiceUnavailable, "overloaded")
			until(t, func() bool { return room.counts(t.Context()).InFlight == 0 })
			go func() { <-entered }()
			wantBody(t, get(t, s, "/"), 200, "")
			if n := settled(t, s, room); n.Rejected != 1 || n.Granted != 3 {
				t.Errorf("got %+v", n)
			}
		})
	}
}

func TestARequestThatIsNoneNeverGetsToAGuard(t *testing.T) {
	g := newRoom(t, registry(t), bulkhead.Config{MaxConcurrent: 1, MaxPartitions: 10})
	s := serve(t, nethttp.Guard(g, nethttp.Key(nethttp.ByHeader("X-Api-Key")), nethttp.Priority(nethttp.Priorities{Header: "X-Priority"}))(say("ok")),
		func(s *httptest.Server) { s.Config.MaxHeaderBytes = 8 << 10 })
	for _, c := range []struct{ name, request, want string }{
		{"a huge header", "GET / HTTP/1.1\nHost: x\nX-Api-Key: " + strings.Repeat("a", 64<<10) + "\n\n", "HTTP/1.1 431 Request Header Fields Too Large"},
		{"a header without a name", "GET / HTTP/1.1\nHost: x\n: a\n\n", "HTTP/1.1 400 Bad Request"},
		{"a control character in a value", "GET / HTTP/1.1\nHost: x\nX-Api-Key: a\x00b\n\n", "HTTP/1.1 400 Bad Request"},
		{"two lengths", "POST / HTTP/1.1\nHost: x\nContent-Length: 1\nContent-Length: 2\n\nab", "HTTP/1.1 400 Bad Request"},
		{"no host", "GET / HTTP/1.1\n\n", "HTTP/1.1 400 Bad Request: missing required Host header"},
		{"a long key", "GET / HTTP/1.1\nHost: x\nConnection: close\nX-Api-Key: " + strings.Repeat("a", 4<<10) + "\n\n", "HTTP/1.1 200 OK"},
		{"odd priorities", "GET / HTTP/1.1\nHost: x\nConnection: close\nX-Priority: \t\"critical\"; 9\nX-Priority: high\n\n", "HTTP/1.1 200 OK"},
	} {
		if got := dial(t, s, c.request).status(); got != c.want {
			t.Errorf("%s: %s", c.name, got)
		}
	}
	if n := settled(t, s, g); n.Granted != 2 || n.Rejected != 0 {
		t.Errorf("got %+v", n)
	}
}
