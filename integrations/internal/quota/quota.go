package quota

import (
	"context"
	"math"
	"math/bits"
	"strconv"
	"strings"
	"time"

	"github.com/bulwark-go/bulwark/patterns/ratelimiter"
)

// Limiter is one that says how much is left: a *ratelimiter.Limiter, or one that is shared
// with others.
type Limiter interface {
	Name() string
	// Take uses n permits of key's budget if they are there now. An error means that there is
	// no answer.
	Take(ctx context.Context, key string, n int) (ratelimiter.Answer, error)
}

// Names of headers, in canonical form.
const (
	PolicyHeader    = "Ratelimit-Policy"
	StateHeader     = "Ratelimit"
	LimitHeader     = "X-Ratelimit-Limit"
	RemainingHeader = "X-Ratelimit-Remaining"
	ResetHeader     = "X-Ratelimit-Reset"
)

// State is where a client stands.
type State struct {
	Limit, Remaining int64
	// Reset is in how many seconds there is Limit again.
	Reset int64
	// Window is the time in which the rate lets Limit pass, in seconds, at least 1; 0 if there
	// is no rate.
	Window int64
}

// Of is what an Answer says. The last is false if there is no rate in it, as when an operator
// has the limiter let everything pass.
func Of(a ratelimiter.Answer) (State, bool) { return of(a.Rate, a.Limit, a.Remaining, a.ResetAfter) }

// OfRefusal is what a refusal says.
func OfRefusal(e *ratelimiter.LimitError) (State, bool) {
	return of(e.Rate, e.Limit, e.Remaining, e.ResetAfter())
}

func of(r ratelimiter.Rate, limit, remaining int64, reset time.Duration) (State, bool) {
	if r == (ratelimiter.Rate{}) {
		return State{}, false
	}
	return State{Limit: whole(limit), Remaining: whole(remaining), Reset: whole(seconds(reset)), Window: whole(window(r, limit))}, true
}

// most is the largest integer that structured fields have (RFC 9651, section 3.3.1).
const most = 999_999_999_999_999

// whole is v as such an integer; nothing here is negative.
func whole(v int64) int64 { return min(max(0, v), most) }

// window is how long r takes to let limit pass, in seconds, rounded up.
func window(r ratelimiter.Rate, limit int64) int64 {
	if r.Count <= 0 || r.Per <= 0 || limit <= 0 {
		return 0
	}
	high, low := bits.Mul64(uint64(limit), uint64(r.Per))
	if high >= uint64(r.Count) {
		return math.MaxInt64
	}
	d, _ := bits.Div64(high, low, uint64(r.Count))
	return int64((max(1, d)-1)/uint64(time.Second)) + 1
}

func seconds(d time.Duration) int64 {
	if d <= 0 {
		return 0
	}
	return int64((d-1)/time.Second) + 1
}

// Policy is the value of RateLimit-Policy for a policy of that name, which Quote made fit.
func (s State) Policy(quoted string) string {
	b := append(make([]byte, 0, len(quoted)+32), quoted...)
	b = strconv.AppendInt(append(b, ";q="...), s.Limit, 10)
	if s.Window > 0 {
		b = strconv.AppendInt(append(b, ";w="...), s.Window, 10)
	}
	return string(b)
}

// State is the value of RateLimit.
func (s State) State(quoted string) string {
	b := append(make([]byte, 0, len(quoted)+32), quoted...)
	b = strconv.AppendInt(append(b, ";r="...), s.Remaining, 10)
	b = strconv.AppendInt(append(b, ";t="...), s.Reset, 10)
	return string(b)
}

// Quote makes a name a string of structured fields (RFC 9651). What such a string cannot have
// in it, a line break above all, becomes a question mark.
func Quote(name string) string {
	var b strings.Builder
	b.WriteByte('"')
	for _, r := range name {
		switch {
		case r == '"' || r == '\\':
			b.WriteByte('\\')
		case r < ' ' || r > '~':
			r = '?'
		}
		b.WriteRune(r)
	}
	b.WriteByte('"')
	return b.String()
}
