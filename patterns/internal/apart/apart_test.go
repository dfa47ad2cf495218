package apart

import (
	"context"
	"errors"
	"runtime"
	"strings"
	"testing"

	"go.uber.org/goleak"

	"github.com/bulwark-go/bulwark/patterns"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// callOf is a Call that can only be tried.
type callOf struct {
	patterns.Call
	fn func() error
}

func (c callOf) Try(context.Context) error { return c.fn() }

// secret is what nobody can print.
type secret struct{}

func (secret) String() string { panic("no") }

// quiet says nothing.
type quiet struct{}

func (quiet) String() string { return "" }

func TestWhoWaitsEndsAsTheAttemptDid(t *testing.T) {
	errOwn := errors.New("its own")
	for _, tt := range []struct {
		name    string
		fn      func() error
		err     error
		unwinds any // "exit" by Goexit
		says    string
	}{
		{"it returns", func() error { return nil }, nil, nil, ""},
		{"it fails", func() error { return errOwn }, errOwn, nil, ""},
		{"it panics", func() error { panic(errOwn) }, nil, errOwn, "its own"},
		{"it panics with what cannot be printed", func() error { panic(secret{}) }, nil, secret{}, "PANIC"},
		{"it panics with what says nothing", func() error { panic(quiet{}) }, nil, quiet{}, "apart.quiet"},
		{"it panics with a long text", func() error { panic(strings.Repeat("x", 2000)) }, nil, strings.Repeat("x", 2000), strings.Repeat("x", 1024)},
		{"it exits", func() error { runtime.Goexit(); return nil }, nil, "exit", ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			a := Attempt{Fork: callOf{fn: tt.fn}}
			done := make(chan struct{})
			go func() {
				defer close(done)
				a.Make(t.Context())
			}()
			<-done
			if !errors.Is(a.Err, tt.err) || a.Unwound() != (tt.unwinds != nil) || !strings.Contains(a.Panic(), tt.says) || (a.Panic() == "") != (tt.says == "") || len(a.Panic()) > 1024 {
				t.Errorf("error %v, unwound %v, panic %q", a.Err, a.Unwound(), a.Panic())
			}
			ended := make(chan any)
			go func() {
				how := any("exit")
				defer func() {
					if r := recover(); r != nil {
						how = r
					}
					ended <- how
				}()
				a.Unwind()
				how = nil
			}()
			if how := <-ended; how != tt.unwinds {
				t.Errorf("who waits ends with %v, want %v", how, tt.unwinds)
			}
		})
	}
}
