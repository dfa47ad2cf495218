package conformance

import (
	"context"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"testing"
)

// ServeHTTP serves a handler of net/http, as Framework.Serve does.
func ServeHTTP(t testing.TB, h http.Handler) (address string, stop func()) {
	t.Helper()
	s := httptest.NewUnstartedServer(h)
	s.Config.ErrorLog = log.New(io.Discard, "", 0) // of panics that checks make
	s.Start()
	t.Cleanup(s.Close)
	return s.Listener.Addr().String(), s.Close
}

// Plain is an Exchange of net/http.
type Plain struct {
	W http.ResponseWriter
	R *http.Request
}

var _ Exchange = Plain{}

// Context implements Exchange.
func (x Plain) Context() context.Context { return x.R.Context() }

// Header implements Exchange.
func (x Plain) Header(name string) string { return x.R.Header.Get(name) }

// Body implements Exchange.
func (x Plain) Body() ([]byte, error) { return io.ReadAll(x.R.Body) }

// SetHeader implements Exchange.
func (x Plain) SetHeader(name, value string) { x.W.Header().Set(name, value) }

// Answer implements Exchange.
func (x Plain) Answer(status int, text string) error {
	x.W.WriteHeader(status)
	_, err := io.WriteString(x.W, text)
	return err
}

// Fail implements Exchange.
func (x Plain) Fail(status int, _ string) error {
	x.W.WriteHeader(status)
	return nil
}

// Stream implements Exchange.
func (x Plain) Stream(write func(w io.Writer, flush func() error)) error {
	write(x.W, http.NewResponseController(x.W).Flush)
	return nil
}

// Hijack implements Exchange.
func (x Plain) Hijack(use func(c net.Conn)) error {
	c, rw, err := http.NewResponseController(x.W).Hijack()
	if err != nil {
		return err
	}
	defer func() { _ = c.Close() }()
	if _, err := io.WriteString(c, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n"); err != nil {
		return err
	}
	use(conn{c, rw})
	return nil
}

// conn is a connection of which something may have been read already.
type conn struct {
	net.Conn
	r io.Reader
}

// Read implements net.Conn.
func (c conn) Read(p []byte) (int, error) { return c.r.Read(p) }
