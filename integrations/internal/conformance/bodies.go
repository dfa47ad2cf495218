package conformance

import (
	"bufio"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"

	"github.com/bulwark-go/bulwark/patterns"
)

// bodies are how long a permit is held, and what is done to bodies and headers.
var bodies = []named{
	{"a permit is held as long as a stream, and then it is back", func(c *check) {
		room := c.room(1)
		end := make(chan struct{})
		c.one(func(x Exchange) error {
			x.SetHeader("Content-Type", "text/event-stream")
			return x.Stream(func(w io.Writer, flush func() error) {
				_, _ = io.WriteString(w, "data: 1\n\n")
				_ = flush()
				<-end
				_, _ = io.WriteString(w, "data: 2\n\n")
				_ = flush()
			})
		}, Guard{Guard: room})
		finish := sync.OnceFunc(func() { close(end) })
		c.Cleanup(finish)                                      // also of a check that has failed
		r, err := c.client.Get("http://" + c.address + "/pay") //nolint:noctx // the client has a timeout
		if err != nil {
			c.Fatal(err)
		}
		defer func() { _ = r.Body.Close() }()
		body := bufio.NewReader(r.Body)
		if line, err := body.ReadString('\n'); line != "data: 1\n" {
			c.Fatalf("got %q, %v", line, err)
		}
		c.wantProblem(c.get("/pay"), 503, "overloaded")
		finish()
		rest, err := io.ReadAll(body)
		if string(rest) != "\ndata: 2\n\n" || err != nil {
			c.Errorf("got %q, %v", rest, err)
		}
		n := c.settle()[0]
		c.wantOutcome(n, patterns.Counts{Success: 1})
		if n.Rejected != 1 {
			c.Errorf("got %+v", n)
		}
	}},
	{"a permit is held as long as an upgraded connection", func(c *check) {
		room := watch(c.room(1))
		c.one(func(x Exchange) error {
			return x.Hijack(func(conn net.Conn) {
				buf := make([]byte, 4)
				for {
					if _, err := io.ReadFull(conn, buf); err != nil {
						return
					}
					_, _ = conn.Write(buf)
				}
			})
		}, Guard{Guard: room})
		w := c.dial("GET /pay HTTP/1.1\nHost: x\nConnection: Upgrade\nUpgrade: echo\n\n")
		r, err := http.ReadResponse(w.r, nil)
		if err != nil || r.StatusCode != http.StatusSwitchingProtocols {
			c.Fatalf("got %+v, %v", r, err)
		}
		_ = r.Body.Close()
		c.wantProblem(c.get("/pay"), 503, "overloaded")
		for _, text := range []string{"ping", "pong"} {
			_, _ = io.WriteString(w, text)
			got := make([]byte, 4)
			if _, err := io.ReadFull(w.r, got); err != nil || string(got) != text {
				c.Errorf("got %q, %v", got, err)
			}
		}
		_ = w.Close()
		next(c, room.ended) // servers do not wait for a connection that is not theirs any more
		n := c.settle()[0]
		if n.Granted != 1 || n.Rejected != 1 {
			c.Errorf("got %+v", n)
		}
	}},
	{"a body comes to the handler as it was sent", func(c *check) {
		c.one(func(x Exchange) error {
			b, err := x.Body()
			if err != nil {
				return err
			}
			return x.Answer(http.StatusOK, string(b))
		}, Guard{Guard: c.breaker("b")}, Guard{Guard: c.line(c.breaker("inner"), c.timeout(hung, false))})
		text := strings.Repeat("0123456789", 10_000)
		c.want(c.do(http.MethodPost, "/pay", strings.NewReader(text)), 200, text)
		c.want(c.do(http.MethodPost, "/pay", struct{ io.Reader }{strings.NewReader(text)}), 200, text) // chunked
		all := c.settle()
		c.wantOutcome(all[0], patterns.Counts{Success: 2})
		c.wantOutcome(all[1], patterns.Counts{Success: 2})
	}},
	{"a client that leaves in the middle of its body costs no permit", func(c *check) {
		room := c.room(1)
		called := make(chan struct{})
		c.one(func(x Exchange) error {
			close(called)
			_, err := x.Body()
			if err == nil {
				c.Error("half a body looks whole")
			}
			return x.Answer(http.StatusBadRequest, "")
		}, Guard{Guard: room})
		w := c.dial("POST /pay HTTP/1.1\nHost: x\nContent-Length: 1000\n\nhalf")
		if !c.f.Buffers {
			next(c, called)
			c.wantProblem(c.get("/pay"), 503, "overloaded") // a slow body holds its permit
		}
		_ = w.Close()
		n := c.settle()[0]
		if c.f.Buffers != (n.Asked == 0) {
			c.Errorf("got %+v", n)
		}
	}},
	{"headers that are too long or malformed are answered, and cost no permit", func(c *check) {
		room := c.room(1)
		c.one(say("ok"), Guard{Guard: room, Options: Options{PerClient: true, ByHeader: "X-Tenant"}})
		for _, text := range []string{
			"GET /pay HTTP/1.1\nHost: x\nX-Tenant: " + strings.Repeat("x", 2<<20) + "\n\n",
			"GET /pay HTTP/1.1\nHost: x\nX-Tenant\n\n",
			"GET /pay HTTP/1.1\nHost: x\nX Tenant: y\n\n",
			"GET /pay HTTP/9.9\n\n",
			"GET pay HTTP/1.1\n\n",
			"\x00\x01\x02\n\n",
		} {
			got := c.quietly(text)
			if answered := got == "" || got[0] == '4' || got[0] == '5'; !answered && (!c.f.Lenient || got != "200") {
				c.Errorf("%.40q: %s", text, got)
			}
		}
		if n := c.settle()[0]; n.Granted != n.Reported {
			c.Errorf("got %+v", n)
		}
	}},
	{"nobody writes a header through a key", func(c *check) {
		c.one(say("ok"), Guard{Limiter: c.limiter("api\"\r\nX-Evil: 1", "1/hour"), Options: Options{ByHeader: "X-Tenant"}})
		for range 2 {
			got := c.get("/pay", "X-Tenant", "a\tX-Evil: 1")
			if got.header.Get("X-Evil") != "" || got.err != nil {
				c.Errorf("got %+v", got)
			}
		}
		for _, tenant := range []string{"a\n X-Evil: 1", "a\n\tX-Evil: 1", "a\rX-Evil: 1", "a\x00X-Evil: 1", "a\x85\u2028X-Evil: 1", "a%0d%0aX-Evil: 1"} {
			status, rest := c.raw("GET /pay?x=%0d%0aX-Evil:%201 HTTP/1.1\nHost: x\nConnection: close\nX-Tenant: " + tenant + "\n\n")
			for line := range strings.Lines(rest) {
				if strings.HasPrefix(line, "X-Evil") {
					c.Errorf("%q: %s %q", tenant, status, rest)
				}
			}
		}
		c.settle()
	}},
}

// raw is the status of what is sent, and everything that comes after.
func (c *check) raw(text string) (status, rest string) {
	c.Helper()
	w := c.dial(text)
	defer func() { _ = w.Close() }()
	status = w.status()
	all, _ := io.ReadAll(w.r) // a server may cut what it does not like
	return status, string(all)
}

// quietly is the status of what is sent, or "" if the server hangs up.
func (c *check) quietly(text string) string {
	c.Helper()
	conn, err := net.Dial("tcp", c.address)
	if err != nil {
		c.Fatal(err)
	}
	defer func() { _ = conn.Close() }()
	_, _ = io.WriteString(conn, strings.ReplaceAll(text, "\n", "\r\n")) // it may have hung up already
	if half, ok := conn.(*net.TCPConn); ok {
		_ = half.CloseWrite()
	}
	return (&raw{conn, c, bufio.NewReader(conn)}).status()
}
