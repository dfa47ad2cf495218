package ratelimiter

import (
	"errors"
	"math"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"
)

func TestTextsFollowTheVector(t *testing.T) {
	v := readVector(t, "testdata/rate_text_zero_error.json")
	for i, step := range v.Steps {
		r, err := Parse(step.Args.Text)
		if _, bad := step.Expect["error"]; bad {
			e, ok := errors.AsType[*RateError](err)
			if !ok || r != (Rate{}) || e.Text != step.Args.Text {
				t.Errorf("step %d: %q: %v, %v", i, step.Args.Text, r, err)
			}
			continue
		}
		if err != nil {
			t.Errorf("step %d: %v", i, err)
			continue
		}
		for field, got := range map[string]int64{"count": r.Count, "period_ns": int64(r.Per), "burst": r.Burst} {
			if float64(got) != step.Expect[field] {
				t.Errorf("step %d: %q: %s is %d, want %v", i, step.Args.Text, field, got, step.Expect[field])
			}
		}
	}
}

func TestBadTextsAreQuotedBesideAGoodOne(t *testing.T) {
	for text, problem := range map[string]string{
		"10/fortnight":        `"fortnight" is no unit`,
		"":                    "the count must be a whole number",
		"10":                  "no slash",
		"0/s":                 "at least 1",
		"-1/s":                "whole number",
		"1e9/s":               "no slash",
		"9223372036854775808": "too large",
		"10/s burst 0":        "burst must be at least 1",
		"10/s burst 5 please": "something follows",
		"10/s please":         "only a burst",
		"10/367 days":         "366 days",
		"1000001/ms":          "one per nanosecond",
		"1/366d burst 999999": "146 years",
	} {
		_, err := Parse(text)
		if err == nil || !strings.Contains(err.Error(), problem) || !strings.Contains(err.Error(), `"`+text+`"`) ||
			!strings.Contains(err.Error(), `"100/minute burst 20"`) {
			t.Errorf("%q: %v, want %s", text, err, problem)
		}
	}
	if _, err := Parse("100/minute burst 20"); err != nil {
		t.Error(err)
	}
	if _, err := Parse(strings.Repeat("x", 1<<20)); err == nil || len(err.Error()) > 300 {
		t.Errorf("a text of 1 MB makes an error of %d bytes", len(err.Error()))
	}
}

func TestMustParsePanicsOnWhatIsNoRate(t *testing.T) {
	for name, f := range map[string]func(){
		"MustParse":      func() { MustParse("10") },
		"MustParseTiers": func() { MustParseTiers("10/s,") },
	} {
		func() {
			defer func() {
				if _, ok := recover().(*RateError); !ok {
					t.Errorf("%s did not panic with a *RateError", name)
				}
			}()
			f()
		}()
	}
}

func TestTiersAreRatesWithCommasBetween(t *testing.T) {
	want := Tiers{{10, time.Second, 10}, {1000, time.Hour, 50}}
	for _, text := range []string{"10/second, 1000/hour burst 50", "10/s,1000/h burst 50", " 10 / s , 1000 / h burst 50 "} {
		if got, err := ParseTiers(text); err != nil || got != want {
			t.Errorf("%q: %v, %v", text, got, err)
		}
	}
	for _, text := range []string{"", ",", "10/s,", "10/s;20/m", "1/s,2/s,3/s,4/s,5/s", "10/s, x"} {
		if got, err := ParseTiers(text); err == nil || got != (Tiers{}) {
			t.Errorf("%q: %v", text, got)
		}
	}
	if got := want.String(); got != "10/second, 1000/hour burst 50" {
		t.Error(got)
	}
}

func TestRatesReadAsTheyAreWritten(t *testing.T) {
	for want, r := range map[string]Rate{
		"10/second":         {Count: 10, Per: time.Second},
		"10/second burst 1": {10, time.Second, 1},
		"1/ms":              {1, time.Millisecond, 1},
		"7/90m":             {7, 90 * time.Minute, 7},
		"1/day":             {Count: 1, Per: 24 * time.Hour},
		"1/36h":             {Count: 1, Per: 36 * time.Hour},
		"3/1500ms":          {Count: 3, Per: 1500 * time.Millisecond},
	} {
		if got := r.String(); got != want {
			t.Errorf("%+v reads %q, want %q", r, got, want)
		}
	}
}

func drawRate(t *rapid.T) Rate {
	for {
		unit := rapid.SampledFrom([]time.Duration{time.Millisecond, time.Second, time.Minute, time.Hour, 24 * time.Hour}).Draw(t, "unit")
		r := Rate{
			Count: rapid.Int64Range(1, maxCount).Draw(t, "count"),
			Per:   time.Duration(rapid.Int64Range(1, int64(maxPer/unit)).Draw(t, "units")) * unit,
			Burst: rapid.Int64Range(0, 1e6).Draw(t, "burst"),
		}
		if r.Validate() == nil {
			return r
		}
	}
}

func TestEveryValidRateIsWhatItsTextSays(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		r := drawRate(t)
		if got, err := Parse(r.String()); err != nil || got != r.withDefaults() {
			t.Fatalf("%+v reads %q: %+v, %v", r, r.String(), got, err)
		}
		tiers := Several(r, drawRate(t))
		if got, err := ParseTiers(tiers.String()); err != nil || got != tiers.withDefaults() {
			t.Fatalf("%q: %v, %v", tiers.String(), got, err)
		}
	})
}

func TestBadRatesAreNamed(t *testing.T) {
	for want, r := range map[string]Rate{
		"count must be at least":      {Count: -1, Per: time.Second},
		"count must be at most":       {Count: maxCount + 1, Per: time.Hour},
		"longer than 0":               {Count: 1},
		"at most 366":                 {Count: 1, Per: math.MaxInt64},
		"whole number of millisecond": {Count: 1, Per: time.Millisecond + 1},
		"one per nanosecond":          {Count: 1e9 + 1, Per: time.Second},
		"burst must be at least":      {Count: 1, Per: time.Second, Burst: -1},
		"burst must be at most":       {Count: 1, Per: time.Second, Burst: maxCount + 1},
		"146 years":                   {Count: 1, Per: time.Hour, Burst: 1 << 40 >> 1},
	} {
		if err := r.Validate(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%+v: %v, want %s", r, err, want)
		}
	}
}

// A text is an error, or a rate that is valid, and reads back as itself.
func FuzzParse(f *testing.F) {
	for _, text := range []string{"10/second", "5/minute burst 20", "100/10s", " 1\t/ 366 D ", "0/s", "1/s,2/m", "", "１/s", "10/s\n"} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		tiers, err := ParseTiers(text)
		if err != nil {
			if _, ok := errors.AsType[*RateError](err); !ok || tiers != (Tiers{}) {
				t.Fatalf("%q: %v, %v", text, tiers, err)
			}
			return
		}
		if err := (Config{Tiers: tiers}).Validate(); err != nil {
			t.Fatalf("%q: %v", text, err)
		}
		if again, err := ParseTiers(tiers.String()); err != nil || again != tiers {
			t.Fatalf("%q reads %q: %v, %v", text, tiers.String(), again, err)
		}
	})
}
