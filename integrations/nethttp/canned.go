package nethttp

import (
	"bytes"
	"context"
	"fmt"
	"net/http"

	"github.com/bulwark-go/bulwark/patterns/fallback"
)

// Canned is the step of a fallback that gives each client a response of its own, always the
// same: the status, header and body must not be changed afterwards.
func Canned(status int, header http.Header, body []byte) fallback.Step[*http.Response] {
	return fallback.Func(func(context.Context, error) (*http.Response, error) {
		h := header.Clone()
		if h == nil {
			h = make(http.Header)
		}
		return &http.Response{
			Status: fmt.Sprintf("%d %s", status, http.StatusText(status)), StatusCode: status,
			Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
			Header: h, Body: drained{bytes.NewReader(body)}, ContentLength: int64(len(body)),
		}, nil
	})
}
