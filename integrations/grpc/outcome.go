package grpcguard

import (
	"context"
	"errors"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/bulwark-go/bulwark/patterns"
)

// standard is what codes mean unless somebody says otherwise: see the package's doc.
func standard() (t table) {
	for code := range t {
		switch codes.Code(code) {
		case codes.Canceled, codes.Unimplemented:
			t[code] = patterns.Ignored
		case codes.DeadlineExceeded, codes.ResourceExhausted, codes.Unavailable:
			t[code] = patterns.Dropped
		case codes.Unknown, codes.Internal, codes.DataLoss:
			t[code] = patterns.Failure
		default: // what is right, and what the caller got wrong
			t[code] = patterns.Success
		}
	}
	return t
}

// of returns what a call means that returned err under ctx. On a server it does not matter
// what a handler says whose client has left.
func (t *table) of(ctx context.Context, server bool, err error) patterns.Outcome {
	switch {
	case err == nil:
		return patterns.Success
	case errors.Is(err, patterns.ErrRejected), server && errors.Is(ctx.Err(), context.Canceled):
		return patterns.Ignored
	}
	code := codeOf(err)
	if code == codes.Canceled && errors.Is(ctx.Err(), context.Canceled) {
		return patterns.Ignored // whatever the table says
	}
	if _, broke := errors.AsType[*panicked](err); broke || int(code) >= len(t) {
		return patterns.Failure
	}
	return t[code]
}

// codeOf is the code that gRPC makes of an error.
func codeOf(err error) codes.Code {
	if s, ok := status.FromError(err); ok {
		return s.Code()
	}
	return status.FromContextError(err).Code()
}

// Answer is what a call that ended with a code which counts as a success is to a Judge that
// looks at results: see patterns.JudgeResult. A call that returned no error is its response.
type Answer struct{ Err error }

// Code is that of the answer.
func (a *Answer) Code() codes.Code { return codeOf(a.Err) }
