package quota

import (
	"testing"
	"time"

	"github.com/bulwark-go/bulwark/patterns/ratelimiter"
)

func TestAnAnswerIsToldInSeconds(t *testing.T) {
	for _, c := range []struct {
		name          string
		answer        ratelimiter.Answer
		policy, state string
	}{
		{
			"a rate",
			ratelimiter.Answer{Rate: ratelimiter.MustParse("100/minute"), Limit: 100, Remaining: 99, ResetAfter: 600 * time.Millisecond},
			`"api";q=100;w=60`, `"api";r=99;t=1`,
		},
		{
			"a burst that is less",
			ratelimiter.Answer{Rate: ratelimiter.MustParse("100/minute burst 20"), Limit: 20, ResetAfter: 12 * time.Second},
			`"api";q=20;w=12`, `"api";r=0;t=12`,
		},
		{
			"a fast one",
			ratelimiter.Answer{Rate: ratelimiter.MustParse("1000/second burst 1"), Limit: 1, Remaining: -3, ResetAfter: 1},
			`"api";q=1;w=1`, `"api";r=0;t=1`,
		},
		{
			"a large one",
			ratelimiter.Answer{Rate: ratelimiter.Rate{Count: 1_000_000_000_000, Per: 366 * 24 * time.Hour, Burst: 1_000_000_000_000}, Limit: 1_000_000_000_000, Remaining: 7},
			`"api";q=1000000000000;w=31622400`, `"api";r=7;t=0`,
		},
	} {
		s, ok := Of(c.answer)
		if p, r := s.Policy(Quote("api")), s.State(Quote("api")); !ok || p != c.policy || r != c.state {
			t.Errorf("%s: got %s and %s", c.name, p, r)
		}
	}
	if _, ok := Of(ratelimiter.Answer{Allowed: true}); ok {
		t.Error("no rate is one")
	}
}

func TestARefusalIsToldLikeAnAnswer(t *testing.T) {
	s, ok := OfRefusal(&ratelimiter.LimitError{
		Rate: ratelimiter.MustParse("10/second"), Limit: 10, Remaining: 2, ResetAt: time.Now().Add(1900 * time.Millisecond),
	})
	if want := (State{Limit: 10, Remaining: 2, Reset: 2, Window: 1}); !ok || s != want {
		t.Errorf("got %+v", s)
	}
	if _, ok := OfRefusal(&ratelimiter.LimitError{Cause: ratelimiter.CauseForced}); ok {
		t.Error("a forced refusal has a rate")
	}
}

func TestANameCannotBecomeAnotherHeader(t *testing.T) {
	for name, want := range map[string]string{
		"api": `"api"`, "a\r\nSet-Cookie: x": `"a??Set-Cookie: x"`, `a"b\c`: `"a\"b\\c"`, "käse\x00": `"k?se?"`,
	} {
		if got := Quote(name); got != want {
			t.Errorf("%q: got %s", name, got)
		}
	}
}
