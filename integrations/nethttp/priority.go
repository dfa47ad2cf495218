package nethttp

import (
	"context"

	"github.com/bulwark-go/bulwark/integrations/internal/precedence"
	"github.com/bulwark-go/bulwark/patterns"
)

// DefaultPriorityHeader is what the header is called that priorities travel in, unless
// somebody says otherwise.
const DefaultPriorityHeader = precedence.DefaultHeader

// PriorityOf returns the priority of the request that ctx is of: what a middleware found, or
// WithPriority said. Guards inside go by it, and so do requests that are made on its behalf.
func PriorityOf(ctx context.Context) (p patterns.Priority, ok bool) { return precedence.From(ctx) }

// WithPriority returns a context whose requests have priority p.
func WithPriority(ctx context.Context, p patterns.Priority) context.Context {
	return precedence.With(ctx, p)
}
