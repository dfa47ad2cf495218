package circuitbreaker

import (
	"strings"
	"testing"
	"time"
)

func TestAWindowIsReadAsItIsWritten(t *testing.T) {
	for text, want := range map[string]Window{
		"100": Last(100), " 7 ": Last(7), "10s": During(10 * time.Second), "1m30s": During(90 * time.Second),
		"10s  in 20 buckets": During(10 * time.Second).Buckets(20), "default": {},
	} {
		var w Window
		if err := w.UnmarshalText([]byte(text)); err != nil || w != want {
			t.Errorf("%q: %v, %v, want %v", text, w, err, want)
		}
		written, err := want.MarshalText()
		var again Window
		if err != nil || again.UnmarshalText(written) != nil || again != want {
			t.Errorf("%v is written as %q (%v) and read as %v", want, written, err, again)
		}
	}
}

func TestWhatIsNoWindowIsNotRead(t *testing.T) {
	for text, problem := range map[string]string{
		"": "is not a number of results", "ten": "is not a number of results", "10s in buckets": "is not a number of results",
		"10s in x buckets": "is not a number of results", "10s of 20 buckets": "is not a number of results",
		"0": "must be of 1 to 16777216 results", "0s": "must be longer than 0", "-5s": "must be longer than 0",
		"100 in 20 buckets": "has Buckets", "10s in 0 buckets": "must be of 1 to 1000 buckets",
	} {
		w := Last(3)
		if err := w.UnmarshalText([]byte(text)); err == nil || !strings.Contains(err.Error(), problem) || w != Last(3) {
			t.Errorf("%q: %v, %v, want %s", text, w, err, problem)
		}
	}
	for _, w := range []Window{Last(0), During(-1), Last(1).Buckets(2), Window{}.Buckets(2)} {
		if text, err := w.MarshalText(); err == nil {
			t.Errorf("%v was written as %q", w, text)
		}
	}
}
