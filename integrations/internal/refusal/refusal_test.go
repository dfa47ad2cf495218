package refusal

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/bulwark-go/bulwark/actors"
	"github.com/bulwark-go/bulwark/patterns"
	"github.com/bulwark-go/bulwark/patterns/adaptive"
	"github.com/bulwark-go/bulwark/patterns/backpressure"
	"github.com/bulwark-go/bulwark/patterns/bulkhead"
	"github.com/bulwark-go/bulwark/patterns/circuitbreaker"
	"github.com/bulwark-go/bulwark/patterns/fallback"
	"github.com/bulwark-go/bulwark/patterns/loadshedder"
	"github.com/bulwark-go/bulwark/patterns/pipeline"
	"github.com/bulwark-go/bulwark/patterns/ratelimiter"
	"github.com/bulwark-go/bulwark/patterns/retry"
	"github.com/bulwark-go/bulwark/patterns/timeout"
)

func TestEveryErrorOfAGuardHasAKindAndAStatus(t *testing.T) {
	soon := time.Now().Add(1500 * time.Millisecond)
	open := &circuitbreaker.OpenError{Name: "bank", RetryAt: soon}
	stopped := &actors.Refusal{Name: "bank", Reason: actors.ErrStopped}
	late := &timeout.Error{Name: "bank"}
	ours := errors.New("password=secret")
	for _, c := range []struct {
		name   string
		err    error
		kind   Kind
		status int
		after  int
	}{
		{"rate", &ratelimiter.LimitError{RetryAt: soon}, RateLimited, 429, 2},
		{"rate, for ever", &ratelimiter.LimitError{}, RateLimited, 429, 1},
		{"rate, for a year", &ratelimiter.LimitError{RetryAt: soon.AddDate(1, 0, 0)}, RateLimited, 429, 86400},
		{"rate, too heavy", &ratelimiter.WeightError{}, Invalid, 400, 0},
		{"open", open, Unavailable, 503, 2},
		{"open, of a pipeline that retried", &retry.ExhaustedError{Last: open}, Unavailable, 503, 2},
		{"replaced", &patterns.ReplacedError{Err: ours, Original: open}, Unavailable, 503, 2},
		{"and fallen back from in vain", &fallback.Error{Original: open, Fallback: ours}, Unavailable, 503, 2},
		{"shed", &loadshedder.ShedError{After: 3 * time.Second}, Overloaded, 503, 3},
		{"full", &bulkhead.FullError{}, Overloaded, 503, 1},
		{"no such partition", &bulkhead.KeyError{}, Invalid, 400, 0},
		{"limit", &adaptive.LimitError{After: time.Millisecond}, Overloaded, 503, 1},
		{"pressure", &backpressure.PressureError{}, Overloaded, 503, 1},
		{"too many abandoned", &timeout.AbandonedError{}, Overloaded, 503, 1},
		{"mailbox", &actors.Refusal{Reason: actors.ErrOverloaded}, Overloaded, 503, 1},
		{"expired", &actors.Refusal{Reason: actors.ErrExpired}, Overloaded, 503, 1},
		{"stopped", stopped, Unavailable, 503, 1},
		{"failed", &actors.Refusal{Reason: actors.ErrFailed}, Unavailable, 503, 1},
		{"spend", &pipeline.SpendError{}, Invalid, 400, 0},
		{"any other refusal", fmt.Errorf("%w: %w", patterns.ErrRejected, ours), Overloaded, 503, 1},
		{"timeout", late, TimedOut, 504, 0},
		{"timeout of an attempt", &retry.ExhaustedError{Last: late}, TimedOut, 504, 0},
		{"deadline", fmt.Errorf("x: %w", context.DeadlineExceeded), TimedOut, 504, 0},
		{"call timeout", patterns.ErrCallTimeout, TimedOut, 504, 0},
		{"gone", context.Canceled, Unavailable, 503, 1},
		{"policy", patterns.ErrPolicy, Failed, 500, 0},
		{"error", ours, Failed, 500, 0},
	} {
		r := Of(c.err, http.StatusGatewayTimeout)
		if r.Kind != c.kind || r.Status != c.status || r.RetryAfter != c.after || !errors.Is(r.Err, c.err) {
			t.Errorf("%s: got %v, %d, after %d", c.name, r.Kind, r.Status, r.RetryAfter)
		}
	}
}

func TestAWaitIsRoundedUp(t *testing.T) {
	for d, want := range map[time.Duration]int{
		-1: 1, 0: 1, 1: 1, time.Second: 1, time.Second + 1: 2, 24 * time.Hour: 86400, 1<<63 - 1: 86400,
	} {
		if got := Seconds(d); got != want {
			t.Errorf("%v: got %d, want %d", d, got, want)
		}
	}
}

func TestAProblemSaysWhatItIsAndNoMore(t *testing.T) {
	p := NewProblems(http.StatusRequestTimeout)
	for k := range kinds {
		var got map[string]any
		if err := json.Unmarshal(p.Body(k), &got); err != nil {
			t.Fatal(err)
		}
		want := status(k, http.StatusRequestTimeout)
		if got["type"] != "about:blank" || got["status"] != float64(want) || got["title"] != http.StatusText(want) ||
			got["reason"] != k.String() || got["detail"] == "" || len(got) != 5 {
			t.Errorf("%v: %s", k, p.Body(k))
		}
	}
	if s := Kind(99).String(); !strings.Contains(s, "99") {
		t.Error(s)
	}
}
