package nethttp

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"sync"
	"time"

	"github.com/bulwark-go/bulwark/patterns"
)

const (
	// maxDrain is how much of a response is read that nobody wants, or not yet, so that its
	// connection can be used again.
	maxDrain = 64 << 10
	// drainFor is how long that may take: a new connection is made sooner.
	drainFor = 100 * time.Millisecond
)

// errDropped is the end of a body that was too long, or too slow, to be kept while the request
// was made again.
var errDropped = errors.New("nethttp: the rest of the response was dropped when the request was made again")

// body is that of a response. The context of its request, and permits, live as long as it
// does.
type body struct {
	length   int64 // -1 if it is not known
	keep     func(patterns.Guard) bool
	drainFor time.Duration
	unlink   func() bool // from the caller's context
	cancel   context.CancelCauseFunc

	mu    sync.Mutex
	inner io.ReadCloser
	held  []held
	ended bool
	err   error // it ended by
}

// held is a permit that is reported at the end.
type held struct {
	permit  patterns.Permit
	outcome patterns.Outcome
}

// upgraded is the body of a response by which the connection became another protocol's.
type upgraded struct {
	*body
	io.Writer
}

// newBody makes the body of response one. The request that is under way was sent with a
// context that cancel ends, and goes on as long as ctx does.
func newBody(ctx context.Context, response *http.Response, cancel context.CancelCauseFunc, s *transportSettings) *body {
	b := &body{inner: response.Body, length: response.ContentLength, keep: s.hold, drainFor: s.drainFor, cancel: cancel}
	b.mu.Lock() // should ctx end at once
	defer b.mu.Unlock()
	b.unlink = context.AfterFunc(ctx, func() {
		cancel(context.Cause(ctx))
		b.end(ctx.Err())
	})
	if w, ok := response.Body.(io.Writer); ok && response.StatusCode == http.StatusSwitchingProtocols {
		response.Body = upgraded{b, w}
	} else {
		response.Body = b
	}
	return b
}

// bodyOf returns the body of response, if it is one of ours and has anything in it.
func bodyOf(response *http.Response) *body {
	if response == nil {
		return nil
	}
	switch b := response.Body.(type) {
	case *body:
		return b
	case upgraded:
		return b.body
	}
	return nil
}

// Read implements io.Reader.
func (b *body) Read(p []byte) (int, error) {
	n, err := b.source().Read(p)
	if err != nil {
		b.end(err)
	}
	return n, err
}

func (b *body) source() io.ReadCloser {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.inner
}

// Close implements io.Closer.
func (b *body) Close() error {
	err := b.source().Close()
	b.end(nil)
	return err
}

// end gives everything back. err is why nothing can be read any more.
func (b *body) end(err error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.endLocked(err)
}

func (b *body) endLocked(err error) {
	if b.ended {
		return
	}
	b.ended = true
	if !errors.Is(err, io.EOF) {
		b.err = err
	}
	b.unlink()
	b.cancel(nil)
	for i := range b.held {
		b.report(&b.held[i])
	}
	b.held = nil
}

// report ends a permit. A response that broke off is no success, unless the caller has left.
func (b *body) report(h *held) {
	if b.err != nil && h.outcome == patterns.Success {
		if h.outcome = patterns.Failure; errors.Is(b.err, context.Canceled) {
			h.outcome = patterns.Ignored
		}
	}
	h.permit.Report(h.outcome)
}

// hold reports permit at the end.
func (b *body) hold(permit patterns.Permit, o patterns.Outcome) {
	b.mu.Lock()
	defer b.mu.Unlock()
	h := held{permit, o}
	if b.ended {
		b.report(&h)
		return
	}
	b.held = append(b.held, h)
}

// after calls f at the end.
func (b *body) after(f func()) { b.hold(patterns.NewPermit(settled(f), 0, 0), patterns.Success) }

// settled is a function that is called when a permit ends.
type settled func()

// Settle implements patterns.Settler.
func (f settled) Settle(uint64, patterns.Instant, patterns.Outcome) bool { f(); return true }

// Release implements patterns.Settler.
func (f settled) Release(uint64) { f() }

// drain frees the connection. What has come of the body, and fits, can still be read.
func (b *body) drain() {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.ended {
		return
	}
	var kept bytes.Buffer
	err := errDropped
	if b.length <= maxDrain {
		slow := time.AfterFunc(b.drainFor, func() { b.cancel(errDropped) })
		_, err = io.Copy(&kept, io.LimitReader(b.inner, maxDrain))
		if err == nil { // is that all?
			var one [1]byte
			if n, end := b.inner.Read(one[:]); n > 0 || !errors.Is(end, io.EOF) {
				err = errDropped
			}
		}
		slow.Stop()
	}
	_ = b.inner.Close() // that it was not read is known
	b.inner = drained{&kept}
	if err != nil {
		b.inner = drained{io.MultiReader(&kept, broken{errDropped})}
	}
	b.endLocked(nil)
}

// broken is where a body breaks off.
type broken struct{ err error }

func (b broken) Read([]byte) (int, error) { return 0, b.err }
