package quota

import (
	"math"
	"regexp"
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
		{
			"one that is too large to be told",
			ratelimiter.Answer{Rate: ratelimiter.Rate{Count: 1, Per: 366 * 24 * time.Hour}, Limit: 1 << 62, Remaining: 1 << 62, ResetAfter: 1<<63 - 1},
			`"api";q=999999999999999;w=999999999999999`, `"api";r=999999999999999;t=9223372037`,
		},
		{
			"nonsense",
			ratelimiter.Answer{Rate: ratelimiter.Rate{Count: -1, Per: -1}, Limit: -5, Remaining: -6, ResetAfter: -7},
			`"api";q=0`, `"api";r=0;t=0`,
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

func FuzzWhatIsToldIsAStructuredField(f *testing.F) {
	f.Add("api", int64(5), int64(4), int64(time.Second), int64(10), int64(time.Minute))
	f.Add("a\"\r\nX: \\\x00\xff\u00e9\x7f", int64(math.MaxInt64), int64(math.MinInt64), int64(math.MaxInt64), int64(1), int64(math.MaxInt64))
	f.Add("", int64(-1), int64(-1), int64(-1), int64(0), int64(0))
	f.Fuzz(func(t *testing.T, name string, limit, remaining, reset, count, per int64) {
		s, ok := Of(ratelimiter.Answer{Rate: ratelimiter.Rate{Count: count, Per: time.Duration(per)}, Limit: limit, Remaining: remaining, ResetAfter: time.Duration(reset)})
		if !ok {
			return
		}
		// A string of printable ASCII, then parameters that are integers of at most 15 digits.
		field := regexp.MustCompile(`^"([ !#-\[\]-~]|\\["\\])*"(;[a-z]=[0-9]{1,15}){1,2}$`)
		for _, v := range []string{s.Policy(Quote(name)), s.State(Quote(name))} {
			if !field.MatchString(v) {
				t.Errorf("%q: %q", name, v)
			}
		}
	})
}
