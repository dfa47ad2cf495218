// Package lazycontext is a context with a deadline that costs nothing but itself until
// somebody waits for it: its channel and its timer are made when Done is first asked for.
package lazycontext

import (
	"context"
	"sync/atomic"
	"time"
)

// Context is what context.WithDeadlineCause returns, made late. Its Deadline, Err and Value
// work by themselves. Once somebody asks for more (Done, context.Cause, a child that can be
// cancelled), or sees it ended, there is an ordinary context behind it, which answers from
// then on: what ended stays ended, with one cause. Of two ends that both came before anybody
// looked, the one that counts is of the earlier deadline, or of who cancelled.
//
// The zero Context is of no use: call Begin before anything else, and End when what it is
// for has ended. All other methods are safe for concurrent use.
type Context struct {
	parent   context.Context
	deadline time.Time // its own
	theirs   bool      // the parent's is not later, and so it is the parent that ends
	cause    error
	behind   atomic.Pointer[ordinary] // nil until somebody needs it
	ended    ordinary                 // what behind points to if End came first
	why      error                    // it came, if anybody said
}

// ordinary is a context of package context; nil in a Context that ended without one.
type ordinary struct {
	context.Context
	cancel context.CancelFunc      // of one with a deadline
	cut    context.CancelCauseFunc // of one without
}

// Begin makes c a child of parent that ends at the deadline, and then has that cause. A
// deadline of the parent that is not later is obeyed, and is the parent's.
func (c *Context) Begin(parent context.Context, deadline time.Time, cause error) {
	c.parent, c.deadline, c.cause = parent, deadline, cause
	if d, ok := parent.Deadline(); ok && !deadline.Before(d) {
		c.theirs = true
	}
}

// Under makes c a child of parent without a deadline of its own. It is called in place of
// Begin.
func (c *Context) Under(parent context.Context) { c.parent, c.theirs = parent, true }

// End ends c, if it has not ended, with context.Canceled, and releases all that it took.
func (c *Context) End() { c.EndFor(nil) }

// EndFor is End with a cause, which a Context that has its own deadline does not tell. Only
// the first End or EndFor may have one.
func (c *Context) EndFor(cause error) {
	if c.behind.Load() == nil {
		c.why = cause // whoever reads it has found c ended
		if c.behind.CompareAndSwap(nil, &c.ended) {
			return
		}
	}
	switch o := c.behind.Load(); {
	case o.cut != nil:
		o.cut(cause)
	case o.cancel != nil:
		o.cancel()
	}
}

// Expired reports whether it is c's own deadline that ended it, or would have if its timer
// were not late.
func (c *Context) Expired() bool {
	if o := c.behind.Load(); o != nil {
		switch {
		case o.Context == nil:
			return false
		case o.Err() != nil:
			// The parent may have the same cause; another that only matches it is not it.
			return !c.theirs && any(context.Cause(o.Context)) == any(c.cause)
		}
	}
	return c.first()
}

// first reports whether c's own deadline has passed, and was the first to.
func (c *Context) first() bool {
	if !c.over() {
		return false
	}
	err := c.parent.Err()
	return err == nil || err == context.DeadlineExceeded // the parent's is the later one
}

// over reports whether the time is, if it is c's own.
func (c *Context) over() bool { return !c.theirs && time.Until(c.deadline) <= 0 }

// Own returns the deadline that Begin was given.
func (c *Context) Own() time.Time { return c.deadline }

// Deadline implements context.Context.
func (c *Context) Deadline() (time.Time, bool) {
	if c.theirs {
		return c.parent.Deadline()
	}
	return c.deadline, true
}

// Done implements context.Context.
func (c *Context) Done() <-chan struct{} { return c.real().Done() }

// Err implements context.Context.
func (c *Context) Err() error {
	o := c.behind.Load()
	switch {
	case o == nil && c.parent.Err() == nil && !c.over():
		return nil
	case o == &c.ended:
		return context.Canceled
	}
	return c.real().Err()
}

// Value implements context.Context.
func (c *Context) Value(key any) any {
	// The key by which package context finds what can be cancelled is a *int of its own.
	// The ordinary context has the answer to all others, too.
	if _, ok := key.(*int); ok {
		return c.real().Value(key)
	}
	return c.parent.Value(key)
}

// real returns the context behind c, which it makes if there is none.
func (c *Context) real() context.Context {
	for {
		old := c.behind.Load()
		if old != nil && old.Context != nil {
			return old.Context
		}
		made := new(ordinary)
		switch {
		case old != nil:
			made.Context, made.cut = context.WithCancelCause(context.WithoutCancel(c.parent))
			made.cut(c.why) // whatever the parent has come to since
		case c.theirs:
			made.Context, made.cut = context.WithCancelCause(c.parent)
		default:
			made.Context, made.cancel = c.begin()
		}
		if c.behind.CompareAndSwap(old, made) {
			return made.Context
		}
		made.end()
	}
}

func (o *ordinary) end() {
	if o.cut != nil {
		o.cut(nil)
		return
	}
	o.cancel()
}

func (c *Context) begin() (context.Context, context.CancelFunc) {
	if c.first() {
		return context.WithDeadlineCause(context.WithoutCancel(c.parent), c.deadline, c.cause)
	}
	return context.WithDeadlineCause(c.parent, c.deadline, c.cause)
}
