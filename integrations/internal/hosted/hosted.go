// Package hosted is what the middleware of a framework that is built on net/http, and that of
// package nethttp within it, have to tell each other.
//
// Such a framework has one context for a request, and uses it again for the next. So a handler
// is called once, and an abandoned one must have returned before the request may end.
package hosted

import (
	"bytes"
	"context"
	"net/http"
	"strconv"
	"sync"
	"sync/atomic"
	"time"
)

// Host is the http.ResponseWriter that a framework's middleware hands to nethttp's. It is for
// one request, whose goroutine calls all but Begin, End and With.
type Host struct {
	http.ResponseWriter     // the framework's
	Key                 any // of Native in the contexts of requests
	Native              any // the framework's context

	replaced bool
	whole    *whole // not nil if the answer is sent when it is whole
	running  atomic.Int32
	calls    sync.WaitGroup
}

// Of returns the Host that w is, or is around; nil if there is none.
func Of(w http.ResponseWriter) *Host {
	for {
		switch v := w.(type) {
		case *Host:
			return v
		case interface{ Unwrap() http.ResponseWriter }:
			w = v.Unwrap()
		default:
			return nil
		}
	}
}

// Unwrap is for an http.ResponseController.
func (h *Host) Unwrap() http.ResponseWriter { return h.ResponseWriter }

// With returns a context that has the framework's in it, for functions of users.
func (h *Host) With(ctx context.Context) context.Context {
	return context.WithValue(ctx, h.Key, h.Native)
}

// Serve lets middleware serve a request. It returns once no handler runs any more; a client
// whose handler was abandoned has its answer before, and sends no more of its body.
func (h *Host) Serve(middleware http.Handler, r *http.Request) {
	defer h.calls.Wait()
	middleware.ServeHTTP(h, r)
	if h.whole != nil {
		h.whole.send(h.ResponseWriter)
		h.whole = nil
	}
	if h.Running() {
		c := http.NewResponseController(h)
		_ = c.Flush()                     // a client that has left misses nothing
		_ = c.SetReadDeadline(time.Now()) // for handlers that wait for what a client sends, or for its end
	}
}

// Begin says that the handler will be called, on whatever goroutine.
func (h *Host) Begin() {
	h.calls.Add(1)
	h.running.Add(1)
}

// End says that it has returned, or panicked.
func (h *Host) End() {
	h.running.Add(-1)
	h.calls.Done()
}

// Running reports whether the handler runs. If anything else does too, it is abandoned.
func (h *Host) Running() bool { return h.running.Load() > 0 }

// Answering says that the guard answers in place of the handler. If that is not done, the
// connection ends with the answer: another request on it would have to wait.
func (h *Host) Answering(r *http.Request) {
	h.replaced = true
	if !h.Running() {
		return
	}
	h.whole = new(whole)
	if r.ProtoMajor == 1 {
		h.Header().Set("Connection", "close")
	}
}

// whole is an answer that must be sent with its length: a client sees no other end of it before
// the handler returns.
type whole struct {
	status int
	body   bytes.Buffer
}

func (a *whole) send(w http.ResponseWriter) {
	if h := w.Header(); h.Get("Content-Length") == "" {
		h.Set("Content-Length", strconv.Itoa(a.body.Len()))
	}
	w.WriteHeader(max(a.status, http.StatusOK))
	_, _ = w.Write(a.body.Bytes()) // a client that has left misses nothing
}

// WriteHeader implements http.ResponseWriter.
func (h *Host) WriteHeader(status int) {
	switch {
	case h.whole == nil:
		h.ResponseWriter.WriteHeader(status)
	case h.whole.status == 0 && status >= http.StatusOK:
		h.whole.status = status
	}
}

// Write implements http.ResponseWriter.
func (h *Host) Write(p []byte) (int, error) {
	if h.whole == nil {
		return h.ResponseWriter.Write(p)
	}
	return h.whole.body.Write(p)
}

// FlushError is what an http.ResponseController flushes with.
func (h *Host) FlushError() error {
	if h.whole == nil {
		return http.NewResponseController(h.ResponseWriter).Flush()
	}
	return nil
}

// Replaced reports whether the guard has answered in place of the handler.
func (h *Host) Replaced() bool { return h.replaced }

// Cut ends a response that has begun, at once and not well. The framework might recover from
// http.ErrAbortHandler, and then package http would finish the response.
func (h *Host) Cut() {
	_ = http.NewResponseController(h).SetWriteDeadline(time.Now()) // which resets a stream of HTTP/2
	var w http.ResponseWriter = h
	for {
		u, ok := w.(interface{ Unwrap() http.ResponseWriter })
		if !ok {
			break
		}
		w = u.Unwrap()
	}
	if hijacker, ok := w.(http.Hijacker); ok {
		if c, _, err := hijacker.Hijack(); err == nil {
			_ = c.Close()
		}
	}
}
