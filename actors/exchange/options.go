package exchange

import (
	"context"
	"time"

	"github.com/bulwark-go/bulwark/patterns"
)

// An Option says something about one exchange.
type Option func(*asking)

// asking is what options say.
type asking struct {
	request patterns.Request
	within  time.Duration
	by      time.Time
	ctx     context.Context //nolint:containedctx // it is passed on
	then    func(Answered)
	id      ID
	faults  faults
}

// For sets what the guard is asked for: a key, weight and priority. Default: none.
func For(r patterns.Request) Option { return func(a *asking) { a.request = r } }

// Within sets how long the exchange may take, all attempts and waits included: above 0, up
// to 24h. Default: Config.Timeout.
func Within(d time.Duration) Option {
	return func(a *asking) {
		a.faults.check(d > 0 && d <= MaxTimeout, "Within", d, "must be above 0, up to 24h")
		a.within = d
	}
}

// By sets a time by which the exchange must have ended. Of several, and of the deadline of
// the request that is being handled, the earliest holds.
func By(t time.Time) Option {
	return func(a *asking) {
		if a.by.IsZero() || t.Before(a.by) {
			a.by = t
		}
	}
}

// WithContext sets a context whose values guards see, and with which the exchange ends.
// Default: context.Background().
func WithContext(ctx context.Context) Option {
	return func(a *asking) {
		if ctx != nil {
			a.ctx = ctx
		}
	}
}

// Then has f called with the answer, in a later turn of the asking actor, instead of the
// message. In it, Sender, Message and Respond of the actor's context are those of the
// message that is being handled now. If the actor was restarted meanwhile, f is not called:
// it belongs to an instance that is gone. Of an actor that is a mere function, all
// instances are the same.
func Then(f func(Answered)) Option { return func(a *asking) { a.then = f } }

// As sets the ID, of up to 256 bytes without blanks, so that a request that is made again
// by other means, after a restart say, is recognised by Once. Default: one that is unique.
func As(id ID) Option {
	return func(a *asking) {
		if err := checkID(id); err != nil {
			a.faults.check(false, "As", id, err.Error())
		}
		a.id = id
	}
}
