package grpcguard

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/bulwark-go/bulwark/integrations/internal/refusal"
	"github.com/bulwark-go/bulwark/patterns"
)

// Kind is what a client is told of an error of a guard.
type Kind = refusal.Kind

// Kinds. The set is closed.
const (
	RateLimited = refusal.RateLimited // this client asked for too much, and may come again
	Overloaded  = refusal.Overloaded  // too much is asked, by whomever
	Unavailable = refusal.Unavailable // what is needed does not work at the moment
	TimedOut    = refusal.TimedOut    // it took too long
	Invalid     = refusal.Invalid     // it can never be granted
	Failed      = refusal.Failed      // something else went wrong here
)

// Error is what a call comes to that a guard has refused, or given up. It is a status to gRPC,
// which says of what kind it is and when to come again, and nothing else. errors.Is and As
// reach what the guard said.
type Error struct {
	Kind Kind
	Code codes.Code
	// Wait is how long to wait before trying again; 0 where that is of no use. Known is
	// whether the guard knows: if not, it is a guess.
	Wait  time.Duration
	Known bool
	// Err is what happened. It is for this process's own eyes.
	Err error

	domain string
	server bool // it is this server's answer to its client
}

func (e *Error) Error() string { return fmt.Sprintf("grpcguard: %s: %v", e.Kind, e.Err) }

// Unwrap returns what happened.
func (e *Error) Unwrap() error { return e.Err }

// GRPCStatus is what a client is told: a sentence, an ErrorInfo, and a RetryInfo if it may try
// again.
func (e *Error) GRPCStatus() *status.Status {
	s := status.New(e.Code, e.Kind.Detail())
	info := &errdetails.ErrorInfo{Reason: Reason(e.Kind), Domain: e.domain}
	var with *status.Status
	var err error
	if e.Wait > 0 {
		with, err = s.WithDetails(info, &errdetails.RetryInfo{RetryDelay: durationpb.New(e.Wait)})
	} else {
		with, err = s.WithDetails(info)
	}
	if err != nil {
		return s
	}
	return with
}

// Reason is the reason that an ErrorInfo has for a kind: RATE_LIMITED, OVERLOADED,
// UNAVAILABLE, TIMEOUT, INVALID or FAILED.
func Reason(k Kind) string { return strings.ToUpper(strings.ReplaceAll(k.String(), "-", "_")) }

// newError returns what a call comes to that ended with err, an error of a guard.
func (e *entrance) newError(err error) *Error {
	made := &Error{Kind: refusal.KindOf(err), Err: err, domain: e.domain, server: e.server}
	if _, late := errors.AsType[*TimeError](err); late {
		made.Kind = TimedOut
	}
	made.Code = codeOfKind(made.Kind)
	left := errors.Is(err, context.Canceled) && !errors.Is(err, patterns.ErrRejected)
	switch {
	case left:
		made.Code = codes.Canceled
	case made.Code == codes.ResourceExhausted, made.Code == codes.Unavailable:
		made.Wait, made.Known = refusal.Wait(err)
	}
	return made
}

// codeOfKind is the code of an Error.
func codeOfKind(k Kind) codes.Code {
	switch k {
	case RateLimited:
		return codes.ResourceExhausted
	case Overloaded, Unavailable:
		return codes.Unavailable
	case TimedOut:
		return codes.DeadlineExceeded
	case Invalid:
		return codes.InvalidArgument
	}
	return codes.Internal
}

// TimeError refuses a call whose deadline is too near: see NeedTime. It matches
// patterns.ErrRejected and context.DeadlineExceeded.
type TimeError struct{ Left, Need time.Duration }

func (e *TimeError) Error() string {
	return fmt.Sprintf("a call needs %v, and the caller waits for %v", e.Need, e.Left)
}

// Unwrap returns both errors.
func (e *TimeError) Unwrap() []error { return []error{patterns.ErrRejected, context.DeadlineExceeded} }

// PolicyError says that a guard was to guard streams, or a Tap, and decides around calls. It
// matches patterns.ErrPolicy.
type PolicyError struct{ Guard string }

func (e *PolicyError) Error() string {
	return fmt.Sprintf("grpcguard: %q decides around calls, and can guard neither streams nor a tap: use guards that grant permits", e.Guard)
}

// Unwrap returns patterns.ErrPolicy.
func (e *PolicyError) Unwrap() error { return patterns.ErrPolicy }

// internal answers a panic.
func internal(context.Context, Call, any) error {
	return status.Error(codes.Internal, "The call could not be completed.")
}
