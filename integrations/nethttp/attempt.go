package nethttp

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"maps"
	"net"
	"net/http"
	"strings"

	"github.com/bulwark-go/bulwark/integrations/internal/policyerr"
	"github.com/bulwark-go/bulwark/patterns"
)

// maxHeld is how many bytes of a failing response are held back, in case something better
// comes. One that is longer is begun.
const maxHeld = 64 << 10

// attempt is one call of the handler, and its response. The first response that begins is the
// client's. One of 500 or more begins last: when all else failed, when it is too long to hold
// back, or when the handler flushes it.
type attempt struct {
	*course
	ctx context.Context
	faces

	// What the handler says. The header is the handler's own until it begins a response; all
	// else is under the course's lock.
	header  http.Header
	status  int           // 0 as long as there is none
	sealed  http.Header   // as it was when a failing response was held back
	body    bytes.Buffer  // of that
	refused bool          // by a guard inside
	ended   bool          // the handler has
	closed  chan struct{} // of the connection, if it was hijacked
}

// Header implements http.ResponseWriter.
func (a *attempt) Header() http.Header { return a.header }

// refusal returns why a's response may not begin, or go on.
func (a *attempt) refusal() error {
	switch {
	case a.over.Load(), a.winner != nil && a.winner != a:
		return http.ErrHandlerTimeout
	case a.winner == a:
		return nil
	}
	err := a.ctx.Err()
	if err != nil && (a.request.Context().Err() == nil || errors.Is(err, context.DeadlineExceeded)) {
		return http.ErrHandlerTimeout // it took too long, or another attempt was better
	}
	return nil
}

// begin makes a's response the client's.
func (a *attempt) begin() {
	a.winner = a
	a.show(a.inner)
	a.inner.WriteHeader(a.status)
}

// show makes w's header that of a.
func (a *attempt) show(w http.ResponseWriter) {
	to := w.Header()
	clear(to)
	if a.sealed != nil {
		maps.Copy(to, a.sealed)
		return
	}
	maps.Copy(to, a.header)
}

// WriteHeader implements http.ResponseWriter.
func (a *attempt) WriteHeader(status int) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.writeHeader(status)
}

func (a *attempt) writeHeader(status int) {
	switch {
	case a.refusal() != nil:
		return
	case a.status != 0:
		if a.winner == a {
			a.inner.WriteHeader(status) // which complains
		}
		return
	case !final(status):
		a.show(a.inner)
		a.inner.WriteHeader(status)
		clear(a.inner.Header())
		maps.Copy(a.inner.Header(), a.base)
		return
	}
	if a.status = status; status >= http.StatusInternalServerError {
		a.sealed = a.header.Clone() // what is set later is too late
		return
	}
	a.begin()
}

// Write implements http.ResponseWriter.
func (a *attempt) Write(p []byte) (int, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if err := a.refusal(); err != nil {
		return 0, err
	}
	if a.status == 0 {
		a.writeHeader(http.StatusOK)
	}
	if a.winner != a {
		if a.body.Len()+len(p) <= maxHeld {
			return a.body.Write(p)
		}
		if err := a.commit(); err != nil {
			return 0, err
		}
	}
	return a.send(p)
}

// send writes to the client.
func (a *attempt) send(p []byte) (int, error) {
	a.sending.Store(true)
	defer a.sending.Store(false)
	if a.over.Load() {
		return 0, http.ErrHandlerTimeout
	}
	return a.inner.Write(p)
}

// WriteString implements io.StringWriter.
func (a *attempt) WriteString(s string) (int, error) { return a.Write([]byte(s)) }

// commit begins what was held back.
func (a *attempt) commit() error {
	a.begin()
	_, err := a.send(a.body.Bytes())
	a.body = bytes.Buffer{}
	return err
}

// FlushError is what an http.ResponseController flushes with.
func (a *attempt) FlushError() error {
	a.mu.Lock()
	defer a.mu.Unlock()
	if err := a.refusal(); err != nil {
		return err
	}
	if a.status == 0 {
		a.writeHeader(http.StatusOK)
	}
	if a.winner != a {
		if err := a.commit(); err != nil {
			return err
		}
	}
	a.sending.Store(true)
	defer a.sending.Store(false)
	if a.over.Load() {
		return http.ErrHandlerTimeout
	}
	return http.NewResponseController(a.inner).Flush()
}

// Unwrap is how a guard inside finds those outside.
func (a *attempt) Unwrap() http.ResponseWriter { return a.inner }

// refuse is told that a guard inside has refused the request.
func (a *attempt) refuse() {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.refused = true
}

// hijack takes the connection over: it is the attempt's, and nobody else's.
func (a *attempt) hijack() (net.Conn, *bufio.ReadWriter, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if err := a.refusal(); err != nil {
		return nil, nil, err
	}
	c, rw, err := http.NewResponseController(a.inner).Hijack()
	if err != nil {
		return nil, nil, err
	}
	if a.winner = a; a.status == 0 {
		a.status = http.StatusSwitchingProtocols
	}
	a.closed = make(chan struct{})
	return &conn{Conn: c, closed: a.closed}, rw, nil
}

// wait returns when a hijacked connection is closed.
func (a *attempt) wait() {
	a.mu.Lock()
	closed := a.closed
	a.mu.Unlock()
	if closed != nil {
		<-closed
	}
}

// unwound is told that the handler panicked, or ended its goroutine.
func (a *attempt) unwound() {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.ended = true
}

// finish returns what became of the attempt, as guards see it. What cannot be made again need
// not wait for a retry.
func (a *attempt) finish() (http.Handler, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	answer, err := a.end()
	if err != nil && (a.winner != nil || !a.repeatable()) {
		err = policyerr.Also(err, patterns.ErrFinal)
	}
	return answer, err
}

func (a *attempt) end() (http.Handler, error) {
	a.ended = true
	if a.status == 0 && a.refusal() == nil {
		a.writeHeader(http.StatusOK)
	}
	if a.winner == a && a.closed == nil && !a.over.Load() {
		a.trailers()
	}
	failed := a.status >= http.StatusInternalServerError
	if failed && a.winner == nil && !a.over.Load() {
		a.held = a
	}
	left := a.request.Context().Err()
	switch {
	case a.upload != nil && a.upload.slow: // which package http takes for a client that has left
		return nil, errSlowBody
	case errors.Is(left, context.Canceled):
		return nil, left
	case a.refused:
		return nil, errRefusedInside
	case a.status == 0:
		return nil, a.lateness()
	case failed:
		return nil, &StatusError{a.status}
	}
	return Status(a.status), nil
}

// lateness is why no response began.
func (a *attempt) lateness() error {
	if err := a.ctx.Err(); errors.Is(err, context.DeadlineExceeded) {
		return err
	}
	return ErrSpent // another was better
}

// trailers sends what the handler has set since its response began.
func (a *attempt) trailers() {
	to := a.inner.Header()
	for name, values := range a.header {
		if strings.HasPrefix(name, http.TrailerPrefix) || announced(to, name) {
			to[name] = values
		}
	}
}

func announced(h http.Header, name string) bool {
	for _, list := range h["Trailer"] {
		for one := range strings.SplitSeq(list, ",") {
			if http.CanonicalHeaderKey(strings.TrimSpace(one)) == name {
				return true
			}
		}
	}
	return false
}

// release sends what was held back, once nobody else answers.
func (a *attempt) release(w http.ResponseWriter) {
	a.show(w)
	w.WriteHeader(a.status)
	_, _ = w.Write(a.body.Bytes()) // a client that has left misses nothing
	a.trailers()
}
