package nethttp

import (
	"bufio"
	"io"
	"net"
	"net/http"
)

// response is the http.ResponseWriter of a handler that holds a permit. It passes everything
// on, and remembers the status.
type response struct {
	inner   http.ResponseWriter
	status  int           // 0 as long as there is none
	assume  int           // the status if the handler says none; 0 is 200
	refused bool          // by a guard inside
	closed  chan struct{} // of the connection, if it was hijacked
	faces
}

// code is the status, once the handler has returned.
func (w *response) code() int {
	if w.status == 0 {
		return http.StatusOK
	}
	return w.status
}

// Header implements http.ResponseWriter.
func (w *response) Header() http.Header { return w.inner.Header() }

// WriteHeader implements http.ResponseWriter.
func (w *response) WriteHeader(status int) {
	if w.status == 0 && final(status) {
		w.status = status
	}
	w.inner.WriteHeader(status)
}

// final reports whether a response begins with status: others only announce one.
func final(status int) bool { return status >= 200 || status == http.StatusSwitchingProtocols }

// begin is called where a handler begins its response without saying a status.
func (w *response) begin() {
	switch {
	case w.status != 0:
	case w.assume != 0:
		w.WriteHeader(w.assume)
	default:
		w.status = http.StatusOK
	}
}

// Write implements http.ResponseWriter.
func (w *response) Write(p []byte) (int, error) {
	w.begin()
	return w.inner.Write(p)
}

// WriteString implements io.StringWriter.
func (w *response) WriteString(s string) (int, error) {
	w.begin()
	return io.WriteString(w.inner, s)
}

// ReadFrom implements io.ReaderFrom, by which files are sent without being copied.
func (w *response) ReadFrom(src io.Reader) (n int64, err error) {
	if w.assume != 0 {
		w.begin()
	}
	n, err = io.Copy(w.inner, src)
	if n > 0 {
		w.begin()
	}
	return n, err
}

// FlushError is what an http.ResponseController flushes with.
func (w *response) FlushError() error {
	w.begin()
	return http.NewResponseController(w.inner).Flush()
}

// Unwrap is for an http.ResponseController.
func (w *response) Unwrap() http.ResponseWriter { return w.inner }

// refuse is told that a guard inside has refused the request.
func (w *response) refuse() { w.refused = true }

// hijack takes the connection over. The permit is held until it is closed.
func (w *response) hijack() (net.Conn, *bufio.ReadWriter, error) {
	c, rw, err := http.NewResponseController(w.inner).Hijack()
	if err != nil {
		return nil, nil, err
	}
	w.closed = make(chan struct{})
	return &conn{Conn: c, closed: w.closed}, rw, nil
}

// wait returns when a hijacked connection is closed.
func (w *response) wait() {
	if w.closed != nil {
		<-w.closed
	}
}

// refusedInside tells the guards outside that it was not the handler who answered.
func refusedInside(w http.ResponseWriter) {
	for w != nil {
		if ours, ok := w.(interface{ refuse() }); ok {
			ours.refuse()
		}
		outer, ok := w.(interface{ Unwrap() http.ResponseWriter })
		if !ok {
			return
		}
		w = outer.Unwrap()
	}
}

// finished is the inner writer of a response that is over.
type finished struct{}

func (finished) Header() http.Header       { return make(http.Header) }
func (finished) Write([]byte) (int, error) { return 0, http.ErrHandlerTimeout }
func (finished) WriteHeader(int)           {}
