package retryafter

import (
	"encoding/json"
	"math"
	"math/big"
	"net/http"
	"os"
	"regexp"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"
)

const (
	day  = 24 * time.Hour
	most = time.Duration(math.MaxInt64)
)

func TestParseFollowsTheVector(t *testing.T) {
	text, err := os.ReadFile("testdata/retry_after.json")
	if err != nil {
		t.Fatal(err)
	}
	var v struct {
		Params struct {
			Now int64         `json:"now_unix_s"`
			Cap time.Duration `json:"cap_ns"`
		} `json:"params"`
		Steps []struct {
			Op   string `json:"op"`
			Args struct {
				Header string `json:"header"`
			} `json:"args"`
			Expect struct {
				Delay *time.Duration `json:"delay_ns"`
			} `json:"expect"`
		} `json:"steps"`
	}
	if err := json.Unmarshal(text, &v); err != nil || len(v.Steps) != 30 {
		t.Fatalf("%d steps, %v", len(v.Steps), err)
	}
	for _, s := range v.Steps {
		got, ok := Parse(s.Args.Header, time.Unix(v.Params.Now, 0), v.Params.Cap)
		if want := s.Expect.Delay; s.Op != "parse" || ok != (want != nil) || ok && got != *want {
			t.Errorf("%s %q: %v, %v; want %v", s.Op, s.Args.Header, got, ok, want)
		}
	}
}

func at(text string) time.Time {
	t, err := time.Parse(time.RFC3339Nano, text)
	if err != nil {
		panic(err)
	}
	return t
}

func TestParse(t *testing.T) {
	const now = "2026-03-01T12:00:00.25Z"
	for _, tt := range []struct {
		name  string
		value string
		most  time.Duration
		want  time.Duration
		ok    bool
	}{
		{"the largest number that a Duration holds", "9223372036", most, 9223372036 * time.Second, true},
		{"one more is as long as may be", "9223372037", most, most, true},
		{"a number just beyond 64 bits too", "18446744073709551617", most, most, true},
		{"digits without end too", strings.Repeat("1", 10000), day, day, true},
		{"unless something else follows", strings.Repeat("1", 10000) + "x", day, 0, false},
		{"zeros before it do not matter", strings.Repeat("0", 10000) + "2", day, 2 * time.Second, true},
		{"a most that is no whole second", "7", 6500 * time.Millisecond, 6500 * time.Millisecond, true},
		{"and is not reached", "6", 6500 * time.Millisecond, 6 * time.Second, true},
		{"a negative most is no wait", "7", -1, 0, true},
		{"for a date too", "Sun, 01 Mar 2026 12:00:30 GMT", -1, 0, true},
		{"tabs and spaces around it", " \t7\t ", day, 7 * time.Second, true},
		{"no other white space", "7\n", day, 0, false},
		{"no digits of other scripts", "٧", day, 0, false},
		{"no list of numbers", "1, 2", day, 0, false},
		{"a date is exact to where now is", "Sun, 01 Mar 2026 12:00:01 GMT", day, 750 * time.Millisecond, true},
		{"a date that is past is no wait", "Sat, 01 Jan 0000 00:00:00 GMT", day, 0, true},
		{"a date far ahead is as long as may be", "Fri, 31 Dec 9999 23:59:59 GMT", most, most, true},
		{"a date of RFC 850 in the next century", "Sunday, 01-Mar-26 12:01:00 GMT", day, 59750 * time.Millisecond, true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got, ok := Parse(tt.value, at(now), tt.most); got != tt.want || ok != tt.ok {
				t.Errorf("%v, %v; want %v, %v", got, ok, tt.want, tt.ok)
			}
		})
	}
}

func TestDate(t *testing.T) {
	for _, tt := range []struct {
		name  string
		value string
		now   string // "" if it does not matter
		want  string // "" if it is none
	}{
		{"the form that is sent today", "Sun, 06 Nov 1994 08:49:37 GMT", "", "1994-11-06T08:49:37Z"},
		{"that of RFC 850", "Sunday, 06-Nov-94 08:49:37 GMT", "", "1994-11-06T08:49:37Z"},
		{"that of C", "Sun Nov  6 08:49:37 1994", "", "1994-11-06T08:49:37Z"},
		{"of C, late in the month", "Sun Nov 16 08:49:37 1994", "", "1994-11-16T08:49:37Z"},
		{"of C, with a zero, which Go takes too", "Sun Nov 06 08:49:37 1994", "", "1994-11-06T08:49:37Z"},
		{"of C, with no day", "Sun Nov    08:49:37 1994", "", ""},
		{"of C, with a day and a space", "Sun Nov 6  08:49:37 1994", "", ""},
		{"the wrong day of the week does not matter", "Mon, 06 Nov 1994 08:49:37 GMT", "", "1994-11-06T08:49:37Z"},
		{"what is no day does", "Xxx, 06 Nov 1994 08:49:37 GMT", "", ""},
		{"in any form", "Xxx Nov  6 08:49:37 1994", "", ""},
		{"a short day where it is to be long", "Sun, 06-Nov-94 08:49:37 GMT", "", ""},
		{"a long day of no week", "Someday, 06-Nov-94 08:49:37 GMT", "", ""},
		{"capitals matter", "SUN, 06 NOV 1994 08:49:37 GMT", "", ""},
		{"letters where digits are", "Sun, 0A Nov 1994 08:49:37 GMT", "", ""},
		{"one digit where there are to be two", "Sun, 06 Nov 1994 8:49:37 GMT", "", ""},
		{"fractions of seconds", "Sun, 06 Nov 1994 08:49:37.5 GMT", "", ""},
		{"another zone", "Sunday, 06-Nov-94 08:49:37 PST", "", ""},
		{"no zone", "Sun, 06 Nov 1994 08:49:37", "", ""},
		{"no month", "Sun, 06 Nof 1994 08:49:37 GMT", "", ""},
		{"letters that only together are a month", "Sun, 06 anF 1994 08:49:37 GMT", "", ""},
		{"day 0", "Sun, 00 Nov 1994 08:49:37 GMT", "", ""},
		{"a day that the month does not have", "Thu, 31 Nov 1994 08:49:37 GMT", "", ""},
		{"29 February", "Thu, 29 Feb 2024 08:49:37 GMT", "", "2024-02-29T08:49:37Z"},
		{"29 February of another year", "Thu, 29 Feb 2023 08:49:37 GMT", "", ""},
		{"hour 24", "Sun, 06 Nov 1994 24:00:00 GMT", "", ""},
		{"minute 60", "Sun, 06 Nov 1994 08:60:00 GMT", "", ""},
		{"the leap second", "Sat, 31 Dec 2016 23:59:60 GMT", "", "2017-01-01T00:00:00Z"},
		{"the second after it", "Sat, 31 Dec 2016 23:59:61 GMT", "", ""},
		{"two digits 50 years ahead", "Sunday, 01-Mar-76 12:00:00 GMT", "2026-03-01T12:00:00Z", "2076-03-01T12:00:00Z"},
		{"a second more is past", "Sunday, 01-Mar-76 12:00:01 GMT", "2026-03-01T12:00:00Z", "1976-03-01T12:00:01Z"},
		{"years more too", "Sunday, 01-Mar-99 12:00:00 GMT", "2026-03-01T12:00:00Z", "1999-03-01T12:00:00Z"},
		{"the next century", "Sunday, 01-Mar-05 12:00:00 GMT", "2060-03-01T12:00:00Z", "2105-03-01T12:00:00Z"},
		{"this century, late in it", "Sunday, 01-Mar-61 12:00:00 GMT", "2060-03-01T12:00:00Z", "2061-03-01T12:00:00Z"},
		{"a leap day that only this century has", "Tuesday, 29-Feb-00 12:00:00 GMT", "2049-12-31T00:00:00Z", "2000-02-29T12:00:00Z"},
		{"or only the last one", "Tuesday, 29-Feb-00 12:00:00 GMT", "2050-01-01T00:00:00Z", "2000-02-29T12:00:00Z"},
		{"and not the next one", "Tuesday, 29-Feb-00 12:00:00 GMT", "2060-01-01T00:00:00Z", "2000-02-29T12:00:00Z"},
		{"or none", "Tuesday, 29-Feb-30 12:00:00 GMT", "2060-01-01T00:00:00Z", ""},
		{"nothing", "", "", ""},
		{"too little", "Sun", "", ""},
		{"only a day", "Sun,", "", ""},
		{"only a long day", "Sunday, ", "", ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			now := at("2026-03-01T12:00:00Z")
			if tt.now != "" {
				now = at(tt.now)
			}
			got, ok := Date(tt.value, now)
			if ok != (tt.want != "") || ok && !got.Equal(at(tt.want)) {
				t.Errorf("%v, %v; want %q", got, ok, tt.want)
			}
		})
	}
}

func TestTheLongestOfSeveralCounts(t *testing.T) {
	now := at("2026-03-01T12:00:00Z")
	for _, tt := range []struct {
		name   string
		values []string
		want   time.Duration
		ok     bool
	}{
		{"none", nil, 0, false},
		{"none that is valid", []string{"x", ""}, 0, false},
		{"one of two", []string{"x", "3"}, 3 * time.Second, true},
		{"no wait is valid too", []string{"0"}, 0, true},
		{"a date and numbers", []string{"7", "Sun, 01 Mar 2026 12:01:00 GMT", "30"}, time.Minute, true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got, ok := Longest(tt.values, now, day); got != tt.want || ok != tt.ok {
				t.Errorf("%v, %v; want %v, %v", got, ok, tt.want, tt.ok)
			}
		})
	}
}

var (
	digits  = regexp.MustCompile(`^[0-9]+$`)
	layouts = []string{http.TimeFormat, "Monday, 02-Jan-06 15:04:05 GMT", time.ANSIC}
)

// twin reads seconds as large numbers, and dates by what of them Go's own parser would
// write the same way.
func twin(value string, now time.Time, limit time.Duration) (time.Duration, bool) {
	value = strings.Trim(value, " \t")
	if digits.MatchString(value) {
		n, _ := new(big.Int).SetString(value, 10)
		if n.Mul(n, big.NewInt(int64(time.Second))); !n.IsInt64() {
			return limit, true
		}
		return min(time.Duration(n.Int64()), limit), true
	}
	for i, layout := range layouts {
		d, err := time.Parse(layout, value)
		if err != nil || d.Format(layout) != value {
			continue
		}
		if i == 1 {
			for d = d.AddDate(200, 0, 0); d.After(now.AddDate(50, 0, 0)); {
				d = d.AddDate(-100, 0, 0)
			}
		}
		return min(max(d.Sub(now), 0), limit), true
	}
	return 0, false
}

func TestParseAgreesWithItsTwin(t *testing.T) {
	valid, noise := 0, 0
	rapid.Check(t, func(t *rapid.T) {
		now := time.Unix(rapid.Int64Range(0, 4e9).Draw(t, "now"), rapid.Int64Range(0, 1e9-1).Draw(t, "ns")).UTC()
		limit := time.Duration(rapid.Int64Range(0, math.MaxInt64).Draw(t, "most"))
		then := now.Add(time.Duration(rapid.Int64Range(-1e9, 1e9).Draw(t, "away")) * time.Second)
		value := rapid.OneOf(
			rapid.SampledFrom([]string{then.Format(layouts[0]), then.Format(layouts[1]), then.Format(layouts[2])}),
			rapid.StringMatching(`[ \t]*[0-9]{1,25}[ \t]*`),
			rapid.String(),
		).Draw(t, "value")
		if len(value) > 0 && rapid.IntRange(0, 2).Draw(t, "spoil") == 0 {
			i := rapid.IntRange(0, len(value)-1).Draw(t, "where")
			value = value[:i] + rapid.SampledFrom([]string{"0", "9", " ", "", "a", ",", "."}).Draw(t, "with") + value[i+1:]
		}
		want, wanted := twin(value, now, limit)
		got, ok := Parse(value, now, limit)
		// Go writes neither the wrong day of the week nor the leap second, and a two-digit
		// year has no day of the week.
		if ok && !wanted || ok == wanted && got != want && strings.Contains(value, "day, 29-Feb") {
			noise++
			return
		}
		if valid++; ok != wanted || got != want {
			t.Fatalf("%q: %v, %v; want %v, %v", value, got, ok, want, wanted)
		}
	})
	if noise > valid/10 {
		t.Errorf("%d of %d could not be compared", noise, valid+noise)
	}
}

func FuzzParse(f *testing.F) {
	for _, s := range []string{"", "7", "Sun, 06 Nov 1994 08:49:37 GMT", "Sunday, 06-Nov-94 08:49:37 GMT", "Sun Nov  6 08:49:37 1994", "Sunday, "} {
		f.Add(s, int64(1772366400), int64(day))
	}
	f.Fuzz(func(t *testing.T, value string, now, limit int64) {
		wait, ok := Parse(value, time.Unix(now, 0), time.Duration(limit))
		if wait < 0 || wait > max(time.Duration(limit), 0) || !ok && wait != 0 {
			t.Errorf("%v, %v", wait, ok)
		}
	})
}

func TestParsingDoesNotAllocate(t *testing.T) {
	now := time.Unix(1772366400, 0)
	for _, v := range []string{"120", "Sun, 06 Nov 1994 08:49:37 GMT", "Sunday, 06-Nov-94 08:49:37 GMT", "Sun Nov  6 08:49:37 1994", "no such thing"} {
		if n := testing.AllocsPerRun(100, func() { Parse(v, now, day) }); n != 0 {
			t.Errorf("%q: %v allocations", v, n)
		}
	}
}
