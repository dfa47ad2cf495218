package actors

import (
	"context"
	"strings"

	"github.com/bulwark-go/bulwark/patterns"
)

// Operator is who steers guards, and why. Each Operated says so.
type Operator struct {
	Name   string // a person, a file, a service
	Reason string // such as the number of a ticket; may be empty
}

type operatorKey struct{}

// As returns a context that says in whose name commands are given to guards: Operate,
// Reconfigure, and all methods that are made of these.
func As(ctx context.Context, o Operator) context.Context {
	return context.WithValue(ctx, operatorKey{}, Operator{Name: strings.TrimSpace(o.Name), Reason: strings.TrimSpace(o.Reason)})
}

// OperatorOf returns the Operator that As has put into ctx; ok is false if there is none.
func OperatorOf(ctx context.Context) (o Operator, ok bool) {
	o, ok = ctx.Value(operatorKey{}).(Operator)
	return o, ok
}

// signed returns op with the Operator of ctx in it, where op does not name another.
func signed(ctx context.Context, op patterns.Operation) patterns.Operation {
	o, _ := OperatorOf(ctx)
	if op.By == "" {
		op.By = o.Name
	}
	if op.Note == "" {
		op.Note = o.Reason
	}
	return op
}
