package grpcguard

import (
	"context"
	"strings"

	"google.golang.org/grpc/metadata"

	"github.com/bulwark-go/bulwark/integrations/internal/precedence"
	"github.com/bulwark-go/bulwark/patterns"
)

// DefaultPriorityKey is the name of the metadata that priorities travel in, unless somebody
// says otherwise.
const DefaultPriorityKey = "x-priority"

// PriorityOf returns the priority of the call or request that ctx is of: what an interceptor
// or package nethttp found, or WithPriority said. Guards inside go by it, and so do calls that
// are made on its behalf.
func PriorityOf(ctx context.Context) (p patterns.Priority, ok bool) { return precedence.From(ctx) }

// WithPriority returns a context whose calls have priority p.
func WithPriority(ctx context.Context, p patterns.Priority) context.Context {
	return precedence.With(ctx, p)
}

// carry adds the priority of ctx to what goes with its calls.
func (e *entrance) carry(ctx context.Context) context.Context {
	if e.send == "" {
		return ctx
	}
	p, ok := precedence.From(ctx)
	if !ok {
		return ctx
	}
	if md, _ := metadata.FromOutgoingContext(ctx); len(md.Get(e.send)) > 0 {
		return ctx
	}
	return metadata.AppendToOutgoingContext(ctx, e.send, strings.ToLower(p.String()))
}
