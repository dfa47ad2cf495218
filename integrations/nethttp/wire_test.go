package nethttp_test

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/bulwark-go/bulwark/integrations/nethttp"
	"github.com/bulwark-go/bulwark/patterns/bulkhead"
)

// What a handler writes arrives as it would without a guard.
func TestAResponseIsWhatItWouldBeWithoutAGuard(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file.txt")
	if err := os.WriteFile(file, bytes.Repeat([]byte("0123456789"), 1000), 0o600); err != nil {
		t.Fatal(err)
	}
	type handler = func(w http.ResponseWriter, r *http.Request)
	writes := func(status int, texts ...string) handler {
		return func(w http.ResponseWriter, _ *http.Request) {
			if status != 0 {
				w.WriteHeader(status)
			}
			for _, text := range texts {
				_, _ = io.WriteString(w, text)
			}
		}
	}
	headers := func(h handler, pairs ...string) handler {
		return func(w http.ResponseWriter, r *http.Request) {
			for i := 0; i < len(pairs); i += 2 {
				w.Header().Add(pairs[i], pairs[i+1])
			}
			h(w, r)
		}
	}
	long := strings.Repeat("long ", 30_000)
	for name, h := range map[string]handler{
		"nothing":                    func(http.ResponseWriter, *http.Request) {},
		"a text":                     writes(0, "a text"),
		"two":                        writes(201, "a", "b"),
		"HTML":                       writes(0, "<html><body>x"),
		"a long text":                writes(0, long, long),
		"204":                        writes(204),
		"204 with a body":            writes(204, "none"),
		"304":                        headers(writes(304), "Etag", `"x"`),
		"304 with a body":            headers(writes(304, "none"), "Etag", `"x"`, "Content-Type", "text/plain"),
		"a length":                   headers(writes(0, "abc"), "Content-Length", "3"),
		"a length that is too large": headers(writes(0, "abc"), "Content-Length", "5"),
		"one that is too small":      headers(writes(0, "abc"), "Content-Length", "2"),
		"one that is none":           headers(writes(0, "abc"), "Content-Length", "x"),
		"two statuses": func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(404)
			w.WriteHeader(200)
			_, _ = io.WriteString(w, "x")
		},
		"a header that comes too late": func(w http.ResponseWriter, r *http.Request) { writes(0, "x")(w, r); w.Header().Set("X-Late", "1") },
		"headers of several values":    headers(writes(0, "x"), "X-A", "1", "X-A", "2", "Set-Cookie", "a=b", "Set-Cookie", "c=d"),
		"a header with a line break":   headers(writes(0, "x"), "X-A", "1\r\nX-B: 2"),
		"no type": func(w http.ResponseWriter, r *http.Request) {
			w.Header()["Content-Type"] = nil
			writes(0, "x")(w, r)
		},
		"a redirect":           func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, "/elsewhere", http.StatusFound) },
		"an error":             func(w http.ResponseWriter, _ *http.Request) { http.Error(w, "mine", 500) },
		"a failure":            headers(writes(503, "<p>mine"), "Retry-After", "7"),
		"one without a body":   writes(502),
		"one with a length":    headers(writes(500, "abc"), "Content-Length", "3"),
		"one that is long":     writes(500, long, long),
		"one of no known size": writes(599, strings.Repeat("a", 10_000)),
		"one that is flushed": func(w http.ResponseWriter, _ *http.Request) {
			http.Error(w, "a", 500)
			w.(http.Flusher).Flush()
			_, _ = io.WriteString(w, "b")
		},
		"one of a reader": func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(500)
			_, _ = io.Copy(w, strings.NewReader("abc"))
		},
		"one of a file":     func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(500); _, _ = io.Copy(w, open(t, file)) },
		"one with trailers": trailers(500),
		"trailers":          trailers(200),
		"flushes": func(w http.ResponseWriter, _ *http.Request) {
			_, _ = io.WriteString(w, "a")
			w.(http.Flusher).Flush()
			_, _ = io.WriteString(w, "b")
		},
		"a flush and no more": func(w http.ResponseWriter, _ *http.Request) { w.(http.Flusher).Flush() },
		"hints": func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Link", "<x>")
			w.WriteHeader(103)
			w.WriteHeader(103)
			writes(0, "x")(w, r)
		},
		"a file": func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Last-Modified", "")
			http.ServeFile(w, r, file)
		},
		"a copied file": func(w http.ResponseWriter, _ *http.Request) { _, _ = io.Copy(w, open(t, file)) },
		"part of one":   func(w http.ResponseWriter, _ *http.Request) { _, _ = io.CopyN(w, open(t, file), 7777) },
		"a text before a file": func(w http.ResponseWriter, _ *http.Request) {
			_, _ = io.WriteString(w, "x")
			_, _ = io.Copy(w, open(t, file))
		},
		"a reader": func(w http.ResponseWriter, _ *http.Request) { _, _ = io.Copy(w, strings.NewReader(long)) },
		"a reader of nothing": func(w http.ResponseWriter, _ *http.Request) {
			_, _ = io.Copy(w, strings.NewReader(""))
			w.WriteHeader(404)
		},
		"the body it was sent":  func(w http.ResponseWriter, r *http.Request) { _, _ = io.Copy(w, r.Body) },
		"a body that is unread": func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "x") },
		"the form it was sent":  func(w http.ResponseWriter, r *http.Request) { _, _ = io.WriteString(w, r.FormValue("a")) },
		"too large a body": func(w http.ResponseWriter, r *http.Request) {
			_, err := io.ReadAll(http.MaxBytesReader(nil, r.Body, 2))
			http.Error(w, fmt.Sprint(err), http.StatusRequestEntityTooLarge)
		},
		"a panic": func(http.ResponseWriter, *http.Request) { panic("secret") },
		"a panic in a body": func(w http.ResponseWriter, _ *http.Request) {
			_, _ = io.WriteString(w, "x")
			w.(http.Flusher).Flush()
			panic("secret")
		},
		"a panic of a held failure": func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(500)
			panic(http.ErrAbortHandler)
		},
		"a connection of its own": func(w http.ResponseWriter, _ *http.Request) {
			c, rw, err := w.(http.Hijacker).Hijack()
			if err != nil {
				t.Error(err)
				return
			}
			_, _ = rw.WriteString("HTTP/1.1 200 mine\r\n\r\n")
			_ = rw.Flush()
			_ = c.Close()
		},
	} {
		t.Run(name, func(t *testing.T) {
			bare, guarded := serve(t, http.HandlerFunc(h)), make(map[string]*httptest.Server)
			for _, with := range guardings(bulkhead.Config{MaxConcurrent: 4}) {
				g, _ := with.guard(t)
				guarded[with.name] = serve(t, nethttp.Guard(g)(http.HandlerFunc(h)))
			}
			for _, request := range []string{
				"GET / HTTP/1.1\nHost: x\nConnection: close\n\n",
				"HEAD / HTTP/1.1\nHost: x\nConnection: close\n\n",
				"GET / HTTP/1.0\n\n",
				"POST / HTTP/1.1\nHost: x\nConnection: close\nContent-Type: application/x-www-form-urlencoded\nContent-Length: 5\n\na=b+c",
				"PUT / HTTP/1.1\nHost: x\nConnection: close\nExpect: 100-continue\nContent-Length: 5\n\na=b+c",
				"CONNECT x:80 HTTP/1.1\nHost: x:80\nConnection: close\n\n",
				"GET / HTTP/1.1\nHost: x\n\nGET / HTTP/1.1\nHost: x\nConnection: close\n\n",
			} {
				want := all(t, bare, request)
				for by, s := range guarded {
					if got := all(t, s, request); got != want {
						t.Errorf("%s, %.20q:\n%.300q\nbut without a guard\n%.300q", by, request, got, want)
					}
				}
			}
		})
	}
}

func trailers(status int) func(http.ResponseWriter, *http.Request) {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Trailer", "X-Sum")
		w.WriteHeader(status)
		_, _ = io.WriteString(w, "x")
		w.Header().Set("X-Sum", "1")
		w.Header().Set(http.TrailerPrefix+"X-Other", "2")
	}
}

func open(t *testing.T, path string) *os.File {
	t.Helper()
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = f.Close() })
	return f
}

// What differs anyway: times, and how a body is cut into chunks.
var (
	chunks = regexp.MustCompile(`\r\n[0-9a-f]+\r\n`)
	dates  = regexp.MustCompile(`(Date|Last-Modified): [^\r]*\r\n`)
)

// all is everything that a server answers to a request.
func all(t *testing.T, s *httptest.Server, request string) string {
	t.Helper()
	w := dial(t, s, request)
	text, _ := io.ReadAll(w.r) // a reset comes after what counts
	_ = w.Close()
	return chunks.ReplaceAllString(dates.ReplaceAllString(string(text), ""), "")
}

// sending is a listener whose connections count the files that the system may send by itself.
type sending struct {
	net.Listener
	files *atomic.Int64
}

func (l sending) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	return sendingConn{c.(*net.TCPConn), l.files}, nil
}

type sendingConn struct {
	*net.TCPConn
	files *atomic.Int64
}

func (c sendingConn) ReadFrom(src io.Reader) (int64, error) {
	n, err := c.TCPConn.ReadFrom(src)
	if part, ok := src.(*io.LimitedReader); ok {
		src = part.R
	}
	if _, ok := src.(interface{ Stat() (os.FileInfo, error) }); ok {
		c.files.Add(n)
	}
	return n, err
}

func TestTheSystemSendsFilesByItself(t *testing.T) {
	const size = 3<<20 + 17
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, make([]byte, size), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, h := range map[string]http.HandlerFunc{
		"served": func(w http.ResponseWriter, r *http.Request) { http.ServeFile(w, r, file) },
		"copied": func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Length", fmt.Sprint(size))
			if n, err := io.Copy(w, open(t, file)); n != size || err != nil {
				t.Errorf("%d, %v", n, err)
			}
		},
	} {
		for _, with := range guardings(bulkhead.Config{}) {
			t.Run(name+", "+with.name, func(t *testing.T) {
				g, room := with.guard(t)
				inner := newAsked()
				var files atomic.Int64
				s := serve(t, nethttp.Guard(g)(nethttp.Guard(inner)(h)), func(s *httptest.Server) {
					s.Listener = sending{s.Listener, &files}
				})
				if got := get(t, s, "/file"); got.status != 200 || len(got.body) != size || got.err != nil {
					t.Errorf("got %d, %d bytes, %v", got.status, len(got.body), got.err)
				}
				settled(t, s, room)
				if n := files.Load(); n < size-4096 {
					t.Errorf("%d of %d bytes were sent as a file", n, size)
				}
			})
		}
	}
}

func TestBothSidesMaySpeakAtOnce(t *testing.T) {
	for _, with := range guardings(bulkhead.Config{MaxConcurrent: 1}) {
		t.Run(with.name, func(t *testing.T) {
			g, room := with.guard(t)
			s := serve(t, nethttp.Guard(g)(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				c := http.NewResponseController(w)
				if err := c.EnableFullDuplex(); err != nil {
					t.Error(err)
				}
				lines := bufio.NewReader(r.Body)
				for {
					line, err := lines.ReadString('\n')
					if err != nil {
						return
					}
					_, _ = io.WriteString(w, strings.ToUpper(line))
					_ = c.Flush()
				}
			})))
			w := dial(t, s, "POST / HTTP/1.1\nHost: x\nTransfer-Encoding: chunked\n\n")
			for i, want := range []string{"ONE\n", "TWO\n"} {
				w.send("4\n")
				_, _ = io.WriteString(w, strings.ToLower(want))
				w.send("\n")
				if i == 0 {
					for line := ""; line != "\r\n"; {
						line, _ = w.r.ReadString('\n')
					}
				}
				_, _ = w.r.ReadString('\n') // the size
				if got, err := w.r.ReadString('\n'); err != nil || got != want {
					t.Fatalf("got %q, %v", got, err)
				}
				_, _ = w.r.ReadString('\n')
				wantProblem(t, get(t, s, "/"), 503, "overloaded")
			}
			w.send("0\n\n")
			if got, err := w.r.ReadString('\n'); got != "0\r\n" {
				t.Errorf("got %q, %v", got, err)
			}
			_ = w.Close()
			if n := settled(t, s, room); n.Granted != 1 || n.Rejected != 2 {
				t.Errorf("got %+v", n)
			}
		})
	}
}
