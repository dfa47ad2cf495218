package nethttp

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"sync/atomic"
	"time"

	"github.com/bulwark-go/bulwark/patterns"
	"github.com/bulwark-go/bulwark/patterns/timeout"
)

// errSlowBody is what a handler comes to that waited for its request's body until its time was
// over. That is no failure of whatever is guarded: else whoever sends slowly could open a
// breaker for all.
var errSlowBody = fmt.Errorf("nethttp: the body of the request took too long: %w: %w: %w", timeout.ErrTimeout, patterns.ErrRejected, patterns.ErrInvalidRequest)

// upload is the body of a request that has a deadline. Who waits for a client to send it does
// not look at contexts.
type upload struct {
	io.ReadCloser
	reading atomic.Bool // its handler is
	late    atomic.Bool // no response had begun when the time was over
	slow    bool        // the handler was reading when it was interrupted
}

// Read implements io.Reader.
func (u *upload) Read(p []byte) (int, error) {
	u.reading.Store(true)
	defer u.reading.Store(false)
	if u.late.Load() {
		return 0, os.ErrDeadlineExceeded
	}
	n, err := u.ReadCloser.Read(p)
	if err != nil && !errors.Is(err, io.EOF) && u.late.Load() { // package http may have closed it meanwhile
		err = os.ErrDeadlineExceeded
	}
	return n, err
}

// interrupt ends the reading, now and later. It reports whether somebody was. Package http
// cannot answer as long as anybody is.
func (u *upload) interrupt(w http.ResponseWriter) bool {
	if u == nil {
		return false
	}
	u.late.Store(true)
	if !u.reading.Load() {
		return false
	}
	_ = http.NewResponseController(w).SetReadDeadline(time.Now()) // without it the client decides
	return true
}

// receive has the handler read r's body under the deadline of its context, and returns what
// ends that.
func (a *attempt) receive(r *http.Request) (end func() bool) {
	if r.ContentLength == 0 || r.Body == nil {
		return func() bool { return true }
	}
	u := &upload{ReadCloser: r.Body}
	r.Body = u
	a.mu.Lock()
	a.upload = u
	a.mu.Unlock()
	return context.AfterFunc(r.Context(), a.starve)
}

// starve ends the reading of a body whose time is over, unless its response has begun: that
// goes on, and so does what it is made of.
func (a *attempt) starve() {
	if !errors.Is(a.ctx.Err(), context.DeadlineExceeded) {
		return
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.over.Load() || a.ended || a.winner != nil {
		return
	}
	a.upload.slow = a.upload.interrupt(a.inner)
}
