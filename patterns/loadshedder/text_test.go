package loadshedder

import (
	"strings"
	"testing"
	"time"
)

func TestALawIsReadAsItIsWritten(t *testing.T) {
	for text, want := range map[string]Law{
		"codel(5ms, 100ms)": CoDel(5*time.Millisecond, 100*time.Millisecond), " codel(1s,2s) ": CoDel(time.Second, 2*time.Second),
		"pie(15ms)": PIE(15 * time.Millisecond), "any-delay": AnyDelay(), "default": {},
	} {
		var l Law
		if err := l.UnmarshalText([]byte(text)); err != nil || l != want {
			t.Errorf("%q: %v, %v, want %v", text, l, err, want)
		}
		written, err := want.MarshalText()
		var again Law
		if err != nil || again.UnmarshalText(written) != nil || again != want {
			t.Errorf("%v is written as %q (%v) and read as %v", want, written, err, again)
		}
	}
}

func TestWhatIsNoLawIsNotRead(t *testing.T) {
	for text, problem := range map[string]string{
		"": "is not codel", "codel": "is not codel", "codel(5ms": "is not codel", "codel(5ms)": "is not codel",
		"codel(5, 100)": "is not codel", "pie(1ms, 2ms)": "is not codel", "any-delay()": "is not codel",
		"codel(0s, 1s)": "must be above 0", "codel(2s, 1s)": "must not be above the interval", "pie(2h)": "1h at most",
	} {
		l := PIE(time.Second)
		if err := l.UnmarshalText([]byte(text)); err == nil || !strings.Contains(err.Error(), problem) || l != PIE(time.Second) {
			t.Errorf("%q: %v, %v, want %s", text, l, err, problem)
		}
	}
	for _, l := range []Law{CoDel(0, 1), PIE(-1)} {
		if text, err := l.MarshalText(); err == nil {
			t.Errorf("%v was written as %q", l, text)
		}
	}
}
