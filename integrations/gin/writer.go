package ginguard

import (
	"bufio"
	"errors"
	"io"
	"net"
	"net/http"
	"sync/atomic"

	"github.com/gin-gonic/gin"
)

// unwritten is the size of a response that has not begun.
const unwritten = -1

// errBegun is what gin itself says.
var errBegun = errors.New("ginguard: response body already written")

// writer is the gin.ResponseWriter of handlers behind a guard.
type writer struct {
	http.ResponseWriter // the guard's
	before              gin.ResponseWriter
	status, size        int
}

var _ gin.ResponseWriter = (*writer)(nil)

// Unwrap is for an http.ResponseController.
func (w *writer) Unwrap() http.ResponseWriter { return w.ResponseWriter }

// WriteHeader implements http.ResponseWriter. As in gin the response does not begin yet.
func (w *writer) WriteHeader(status int) {
	if status > 0 && !w.Written() {
		w.status = status
	}
}

// WriteHeaderNow implements gin.ResponseWriter.
func (w *writer) WriteHeaderNow() {
	if !w.Written() {
		w.size = 0
		w.ResponseWriter.WriteHeader(w.status)
	}
}

// Write implements http.ResponseWriter.
func (w *writer) Write(p []byte) (int, error) {
	w.WriteHeaderNow()
	n, err := w.ResponseWriter.Write(p)
	w.size += n
	return n, err
}

// WriteString implements io.StringWriter.
func (w *writer) WriteString(s string) (int, error) {
	w.WriteHeaderNow()
	n, err := io.WriteString(w.ResponseWriter, s)
	w.size += n
	return n, err
}

// Status implements gin.ResponseWriter.
func (w *writer) Status() int { return w.status }

// Size implements gin.ResponseWriter.
func (w *writer) Size() int { return w.size }

// Written implements gin.ResponseWriter.
func (w *writer) Written() bool { return w.size != unwritten }

// Flush implements http.Flusher.
func (w *writer) Flush() { _ = w.FlushError() }

// FlushError is what an http.ResponseController flushes with.
func (w *writer) FlushError() error {
	w.WriteHeaderNow()
	return http.NewResponseController(w.ResponseWriter).Flush()
}

// Hijack implements http.Hijacker.
func (w *writer) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	if w.size > 0 {
		return nil, nil, errBegun
	}
	c, rw, err := http.NewResponseController(w.ResponseWriter).Hijack()
	if err == nil {
		w.size = 0
	}
	return c, rw, err
}

// CloseNotify implements http.CloseNotifier.
func (w *writer) CloseNotify() <-chan bool { return w.before.CloseNotify() }

// Pusher implements gin.ResponseWriter.
func (w *writer) Pusher() http.Pusher { return w.before.Pusher() }

// outer is gin's own writer, as the guard sees it.
type outer struct {
	gin.ResponseWriter
	later atomic.Bool // a status may still be changed, as handlers have only set it
}

// WriteHeader implements http.ResponseWriter.
func (w *outer) WriteHeader(status int) {
	w.ResponseWriter.WriteHeader(status)
	if !w.later.Load() {
		w.WriteHeaderNow()
	}
}

// Unwrap is for an http.ResponseController.
func (w *outer) Unwrap() http.ResponseWriter { return w.ResponseWriter }
