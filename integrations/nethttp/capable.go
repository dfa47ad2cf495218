package nethttp

import (
	"bufio"
	"io"
	"net"
	"net/http"
	"time"
)

// writer is an http.ResponseWriter of ours, with what all of them can do.
type writer interface {
	http.ResponseWriter
	io.StringWriter
	io.ReaderFrom
	FlushError() error
	SetReadDeadline(time.Time) error
	SetWriteDeadline(time.Time) error
	EnableFullDuplex() error
	Unwrap() http.ResponseWriter
	refuse()
	hijack() (net.Conn, *bufio.ReadWriter, error)
}

// faces are the forms in which a handler gets a writer. Handlers find out by a type assertion
// what theirs can do, so what cannot be hijacked must not look as if it could.
type faces struct {
	flushing flushing
	http1    http1
	http2    http2
}

// of returns w in the form that goes with the inner writer. It is part of f.
func (f *faces) of(w writer, inner http.ResponseWriter) http.ResponseWriter {
	if _, plainly := inner.(http.Hijacker); plainly || able[http.Hijacker](inner) {
		f.http1.writer = w
		return &f.http1
	}
	switch {
	case able[http.Pusher](inner):
		f.http2.writer = w
		return &f.http2
	case able[http.Flusher](inner):
		f.flushing.writer = w
		return &f.flushing
	}
	return w
}

// able reports whether w, or what it wraps, is a T.
func able[T any](w http.ResponseWriter) bool {
	_, ok := innermost[T](w)
	return ok
}

func innermost[T any](w http.ResponseWriter) (T, bool) {
	for {
		if t, ok := w.(T); ok {
			return t, true
		}
		u, ok := w.(interface{ Unwrap() http.ResponseWriter })
		if !ok {
			var none T
			return none, false
		}
		w = u.Unwrap()
	}
}

// flushing is a writer that can flush.
type flushing struct{ writer }

// Flush implements http.Flusher.
func (w *flushing) Flush() { _ = w.FlushError() }

// CloseNotify is what package http calls deprecated, and gin's streams use. The channel never
// says anything if the inner writer has none.
func (w *flushing) CloseNotify() <-chan bool {
	if n, ok := innermost[interface{ CloseNotify() <-chan bool }](w.Unwrap()); ok {
		return n.CloseNotify()
	}
	return nil
}

// http1 is a writer whose connection can be had.
type http1 struct{ flushing }

// Hijack implements http.Hijacker.
func (w *http1) Hijack() (net.Conn, *bufio.ReadWriter, error) { return w.hijack() }

// http2 is a writer that can push.
type http2 struct{ flushing }

// Push implements http.Pusher.
func (w *http2) Push(target string, opts *http.PushOptions) error {
	p, _ := innermost[http.Pusher](w.Unwrap())
	return p.Push(target, opts)
}
