package ratelimiter

import (
	"encoding/json"
	"strings"
	"testing"
)

func TestRatesTiersAndAlgorithmsAreReadAsTheyAreWritten(t *testing.T) {
	for _, text := range []string{"10/second", "100/10s burst 7"} {
		var r Rate
		if err := r.UnmarshalText([]byte(text)); err != nil || r != MustParse(text) {
			t.Errorf("%q: %v, %v", text, r, err)
		}
		if written, err := r.MarshalText(); err != nil || string(written) != text {
			t.Errorf("%q is written as %q, %v", text, written, err)
		}
	}
	const several = "10/second, 1000/hour burst 50"
	var tiers Tiers
	if err := tiers.UnmarshalText([]byte(several)); err != nil || tiers != MustParseTiers(several) {
		t.Errorf("%v, %v", tiers, err)
	}
	if written, err := tiers.MarshalText(); err != nil || string(written) != several {
		t.Errorf("%q, %v", written, err)
	}
	for want := range algorithms {
		text, err := want.MarshalText()
		got := algorithms
		if err != nil || got.UnmarshalText(text) != nil || got != want {
			t.Errorf("%v is written as %q (%v) and read as %v", want, text, err, got)
		}
	}
}

func TestAConfigGoesThroughJSON(t *testing.T) {
	for _, want := range []Config{{}, {Rate: MustParse("1/s")}, {Tiers: Several(MustParse("1/s"), MustParse("5/m")), Algorithm: SlidingLog}} {
		var got Config
		text, err := json.Marshal(want)
		if err != nil || json.Unmarshal(text, &got) != nil || got != want {
			t.Errorf("%v is written as %s (%v) and read as %v", want, text, err, got)
		}
	}
}

func TestWhatIsNoneIsNeitherReadNorWritten(t *testing.T) {
	rate, tiers, a := MustParse("1/s"), Several(MustParse("1/s")), Smooth
	errs := []error{rate.UnmarshalText([]byte("1")), tiers.UnmarshalText([]byte("1/s,")), a.UnmarshalText([]byte("leaky"))}
	for i, problem := range []string{"no slash", "must be a whole number", "one of token-bucket, sliding-window"} {
		if errs[i] == nil || !strings.Contains(errs[i].Error(), problem) {
			t.Errorf("%v, want %s", errs[i], problem)
		}
	}
	if rate != MustParse("1/s") || tiers != Several(MustParse("1/s")) || a != Smooth {
		t.Errorf("changed: %v, %v, %v", rate, tiers, a)
	}
	for _, v := range []interface{ MarshalText() ([]byte, error) }{Rate{Count: -1}, Tiers{{Count: -1}}, algorithms} {
		if text, err := v.MarshalText(); err == nil {
			t.Errorf("%v was written as %q", v, text)
		}
	}
}
