package nethttp

import (
	"io"
	"net/http"
	"os"
)

// source is a request's body that comes from somewhere else, such as another request: if it
// fails that says nothing about the host that the request is for.
type source struct{ io.ReadCloser }

func (s source) Read(p []byte) (int, error) {
	n, err := s.ReadCloser.Read(p)
	if err != nil && err != io.EOF {
		err = &sourceError{err}
	}
	return n, err
}

// sourceError is what a source failed with.
type sourceError struct{ error }

func (e *sourceError) Unwrap() error { return e.error }

// sourced returns r with its body as a source, unless that is in memory, or a file, which the
// system may send by itself.
func sourced(r *http.Request) *http.Request {
	if replayable(r) {
		return r
	}
	switch r.Body.(type) {
	case *os.File, source:
		return r
	}
	copied := *r
	copied.Body = source{r.Body}
	return &copied
}
