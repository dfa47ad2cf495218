package grpcguard

import (
	"context"

	"google.golang.org/grpc/metadata"
)

// Call is a call that a guard is asked about.
type Call struct {
	// Method is the full one: /package.Service/Method.
	Method string
	// Target is what the client has dialled. A server does not have it.
	Target string
	// Server is set where the call is handled, and not where it is made.
	Server bool
}

// KeyFunc says whose call it is: the tenant, user, method or server that a guard counts it
// for. "" is nobody's in particular: all such calls count together. It runs on the call's
// goroutine; for a Tap on the connection's, where it must not block.
//
// What anybody can send, such as metadata, anybody can make up. A key that is worth something
// to have (the claim of a token) comes from an interceptor that has checked it: see ByValue.
type KeyFunc func(ctx context.Context, c Call) string

// ByMethod is the full method.
func ByMethod() KeyFunc { return func(_ context.Context, c Call) string { return c.Method } }

// ByTarget is what the client has dialled.
func ByTarget() KeyFunc { return func(_ context.Context, c Call) string { return c.Target } }

// ByMetadata is the first value that the call's metadata has for name: what came with it on a
// server, what goes with it on a client.
func ByMetadata(name string) KeyFunc {
	return func(ctx context.Context, c Call) string {
		if c.Server {
			return first(metadata.ValueFromIncomingContext(ctx, name))
		}
		md, _ := metadata.FromOutgoingContext(ctx)
		return first(md.Get(name))
	}
}

// ByValue is the string that the call's context has for key: the subject of a token, say,
// which the interceptor that checked the token has put there.
func ByValue(key any) KeyFunc {
	return func(ctx context.Context, _ Call) string {
		s, _ := ctx.Value(key).(string)
		return s
	}
}

func first(values []string) string {
	if len(values) == 0 {
		return ""
	}
	return values[0]
}
