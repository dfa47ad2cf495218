package exchange

import (
	"testing"
	"time"

	"pgregory.net/rapid"
)

func TestWhatIsWrittenIsRead(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		now := time.Unix(0, rapid.Int64Range(0, 1<<61).Draw(t, "now"))
		a := Attempt{
			ID:     ID(rapid.StringMatching(`[!-~]{1,40}`).Draw(t, "id")),
			Number: rapid.IntRange(1, 1<<31).Draw(t, "number"), Deadline: time.Unix(0, rapid.Int64Range(0, 1<<61).Draw(t, "by")),
		}
		value := a.write(time.Duration(rapid.Int64Range(0, 1<<61).Draw(t, "left")), "here")
		if got, ok := read(value, "here", now); !ok || got.ID != a.ID || got.Number != a.Number || !got.Deadline.Equal(a.Deadline) {
			t.Fatalf("%q: %+v, want %+v", value, got, a)
		}
		cut := rapid.IntRange(0, len(value)).Draw(t, "cut")
		_, _ = read(value[:cut], "here", now)
	})
}

func TestWhatNobodyWroteIsNotRead(t *testing.T) {
	for _, value := range []string{
		"", "a", "a 1 2 3", " 1 2 3 here", "a 0 2 3 here", "a -1 2 3 here", "a x 2 3 here", "a 1 x 3 here", "a 1 2 x here",
		"a 1 99999999999999999999 3 here",
	} {
		if a, ok := read(value, "here", time.Now()); ok || a != (Attempt{}) && a.Number != 0 {
			t.Errorf("%q is %+v", value, a)
		}
	}
}

func TestADeadlineOfAnotherNodeIsNeverTooEarlyIfClocksDifferByLessThanMaxSkew(t *testing.T) {
	sent := time.Unix(1_000_000, 0) // by the asker's clock
	const left = 10 * time.Second
	a := Attempt{ID: "a", Number: 1, Deadline: sent.Add(left)}
	value := a.write(left, "there")
	for _, row := range []struct {
		name            string
		ahead, underway time.Duration // of the callee's clock; until the callee looks
		want            time.Duration // left then, by the callee
	}{
		{name: "equal clocks", underway: time.Second, want: 10 * time.Second},
		{name: "equal clocks, after long in a mailbox", underway: 8 * time.Second, want: 3 * time.Second},
		{name: "the callee's is ahead", ahead: 900 * time.Millisecond, underway: 5 * time.Second, want: 5100 * time.Millisecond},
		{name: "the callee's is behind", ahead: -time.Hour, underway: time.Second, want: left},
		{name: "and too far ahead", ahead: time.Minute, want: -49 * time.Second},
	} {
		now := sent.Add(row.underway + row.ahead)
		got, ok := read(value, "here", now)
		if rest := got.Deadline.Sub(now); !ok || rest != row.want {
			t.Errorf("%s: %v are left, want %v", row.name, rest, row.want)
		}
	}
	rapid.Check(t, func(t *rapid.T) {
		ahead := time.Duration(rapid.Int64Range(int64(-time.Hour), int64(MaxSkew)).Draw(t, "ahead"))
		underway := time.Duration(rapid.Int64Range(0, int64(time.Minute)).Draw(t, "underway"))
		now := sent.Add(underway + ahead)
		got, _ := read(value, "here", now)
		rest := got.Deadline.Sub(now)
		if truth := left - underway; rest < truth {
			t.Fatalf("%v are left, and the callee says %v", truth, rest)
		}
		if rest > left {
			t.Fatalf("%v are left, of %v", rest, left)
		}
	})
}
