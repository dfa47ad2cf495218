package nethttp

import (
	"bytes"
	"errors"
	"io"
	"net"
	"net/http"
)

// isIdempotent is RFC 9110, section 9.2.2, and the headers by which package http knows more.
func isIdempotent(r *http.Request) bool {
	switch r.Method {
	case "", http.MethodGet, http.MethodHead, http.MethodOptions, http.MethodTrace, http.MethodPut, http.MethodDelete:
		return true
	}
	return len(r.Header["Idempotency-Key"]) > 0 || len(r.Header["X-Idempotency-Key"]) > 0
}

// replayable reports whether the body can be sent again.
func replayable(r *http.Request) bool {
	return r.Body == nil || r.Body == http.NoBody || r.GetBody != nil
}

// buffered returns r with a body that can be sent again, if it has at most so many bytes. It
// reads from the body, and closes it if that fails.
func buffered(r *http.Request, most int64) (*http.Request, error) {
	if most == 0 || replayable(r) || r.ContentLength > most {
		return r, nil
	}
	from := r.Body
	text, err := io.ReadAll(io.LimitReader(from, most+1))
	if err != nil {
		_ = from.Close() // the other error says more
		return nil, err
	}
	copied := *r
	if int64(len(text)) > most {
		copied.Body = struct {
			io.Reader
			io.Closer
		}{io.MultiReader(bytes.NewReader(text), from), from}
		return &copied, nil
	}
	if err := from.Close(); err != nil {
		return nil, err
	}
	copied.GetBody = func() (io.ReadCloser, error) { return drained{bytes.NewReader(text)}, nil }
	copied.Body, _ = copied.GetBody()
	copied.ContentLength = int64(len(text))
	if len(text) == 0 {
		copied.Body = http.NoBody
	}
	return &copied, nil
}

// neverSent reports whether a request failed before anything of it was sent.
func neverSent(err error) bool {
	if op, ok := errors.AsType[*net.OpError](err); ok && op.Op == "dial" {
		return true
	}
	_, ok := errors.AsType[*net.DNSError](err)
	return ok
}
