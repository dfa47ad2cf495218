// Package attempts is what actors that ask guards without blocking have in common: how
// long they wait for an answer, and what they report when a reply has come.
package attempts

import (
	"context"
	"time"

	"github.com/bulwark-go/bulwark/actors"
	"github.com/bulwark-go/bulwark/patterns"
)

// Verdict is a reply as a function would return it.
func Verdict(reply any) (any, error) {
	switch reply := reply.(type) {
	case error:
		return nil, reply
	case actors.Rejected:
		return nil, reply.Err
	}
	return reply, nil
}

// Settle reports what a reply says about whoever sent it, as the guard's terms have it,
// and returns its Verdict.
func Settle(guard patterns.Guard, permit patterns.Permit, reply any) (any, error) {
	return patterns.DoFor(context.Background(), Held{guard, permit}, patterns.Request{}, func(context.Context) (any, error) {
		return Verdict(reply)
	})
}

// Late reports whether msg has a deadline, and it has passed. One that panics has none.
func Late(msg any) (late bool) {
	d, ok := msg.(interface{ Deadline() (time.Time, bool) })
	if !ok {
		return false
	}
	defer func() {
		if recover() != nil {
			late = false
		}
	}()
	at, ok := d.Deadline()
	return ok && !time.Now().Before(at)
}

// Held is a guard that has granted already.
type Held struct {
	patterns.Guard
	Permit patterns.Permit
}

// AcquireFor implements patterns.Guard.
func (h Held) AcquireFor(context.Context, patterns.Request) (patterns.Permit, error) {
	return h.Permit, nil
}

// Judged returns guard with judge in its terms, unless that is nil. A timeout of its own
// means nothing to actors: a Receive has no context that could end.
func Judged(guard patterns.Guard, judge *patterns.Judge) patterns.Guard {
	terms := guard.Terms()
	if judge == nil && terms == nil {
		return guard
	}
	if judge == nil {
		judge = terms.Judge
	}
	return judged{guard, &patterns.Terms{Judge: judge}}
}

// judged is a guard with other terms.
type judged struct {
	patterns.Guard
	terms *patterns.Terms
}

// Terms implements patterns.Guard.
func (j judged) Terms() *patterns.Terms { return j.terms }
