// Package apart makes an attempt on a goroutine that is not its caller's, so that the caller
// need not wait for it, and carries over how it ended to one that does.
package apart

import (
	"context"
	"fmt"
	"runtime"

	"github.com/bulwark-go/bulwark/patterns"
)

// Attempt is one of them. It is for one goroutine at a time. Once Make has ended, whoever
// knows of that may use the rest.
type Attempt struct {
	// Fork is the call that is made.
	Fork patterns.Call
	// Err is what it returned.
	Err error

	value any // that it panicked with
	end   end
}

// end is how a function came to its end.
type end uint8

const (
	exited end = iota // by runtime.Goexit
	panicked
	returned
)

// Make makes the attempt. If that panics, Make returns; if it ends its goroutine, the
// functions that the caller of Make has deferred are what runs next.
func (a *Attempt) Make(ctx context.Context) {
	defer func() {
		if a.end != returned {
			if a.value = recover(); a.value != nil {
				a.end = panicked
			}
		}
	}()
	a.Err = a.Fork.Try(ctx)
	a.end = returned
}

// Unwound reports whether the function did not return.
func (a *Attempt) Unwound() bool { return a.end != returned }

// Panic returns what it panicked with, as a text of at most 1,024 bytes; "" if it did not.
func (a *Attempt) Panic() string {
	if a.end != panicked {
		return ""
	}
	return text(a.value)
}

// Unwind ends the goroutine that it is called on as the attempt ended its own, if it did.
func (a *Attempt) Unwind() {
	switch a.end {
	case panicked:
		panic(a.value)
	case exited:
		runtime.Goexit()
	}
}

// text is what a panic says, which is foreign code. It is never "".
func text(v any) (s string) {
	defer func() {
		if recover() != nil || s == "" {
			s = fmt.Sprintf("%T", v)
		}
	}()
	const most = 1024
	s = fmt.Sprint(v)
	return s[:min(len(s), most)]
}
