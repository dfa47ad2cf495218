package patterns_test

import (
	"encoding"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/bulwark-go/bulwark/patterns"
)

var (
	_ encoding.TextMarshaler   = patterns.Mode{}
	_ encoding.TextUnmarshaler = (*patterns.Mode)(nil)
	_ encoding.TextMarshaler   = patterns.FailPolicy(0)
	_ encoding.TextUnmarshaler = (*patterns.FailPolicy)(nil)
)

func TestAModeIsReadAsItIsWritten(t *testing.T) {
	for text, want := range map[string]patterns.Mode{
		"strict": patterns.Strict, " strict ": patterns.Strict,
		"leased": patterns.Leased(0, 0), "leased(8)": patterns.Leased(8, 0), "leased( 8 , 5ms )": patterns.Leased(8, 5*time.Millisecond),
	} {
		var m patterns.Mode
		if err := m.UnmarshalText([]byte(text)); err != nil || m != want {
			t.Errorf("%q: %v, %v, want %v", text, m, err, want)
		}
		written, err := want.MarshalText()
		var again patterns.Mode
		if err != nil || again.UnmarshalText(written) != nil || again != want {
			t.Errorf("%v is written as %q (%v) and read as %v", want, written, err, again)
		}
	}
}

func TestWhatIsNoModeIsNotRead(t *testing.T) {
	for text, problem := range map[string]string{
		"": "is not strict", "Strict": "is not strict", "leased(": "is not strict", "leased(8": "is not strict", "leased()": "is not strict",
		"leased(0)": "is not strict", "leased(8, 5)": "is not strict", "leased(8, 5ms, 1)": "is not strict", "8)": "is not strict",
		"leased(-1)": "not in [1, 1024]", "leased(2000)": "not in [1, 1024]", "leased(8, 1us)": "is below 1ms",
	} {
		m := patterns.Leased(3, 0)
		if err := m.UnmarshalText([]byte(text)); err == nil || !strings.Contains(err.Error(), problem) || m != patterns.Leased(3, 0) {
			t.Errorf("%q: %v, %v, want %s", text, m, err, problem)
		}
	}
	if _, err := patterns.Leased(-1, 0).MarshalText(); err == nil {
		t.Error("an invalid mode was written")
	}
}

func TestAFailPolicyIsReadAsItIsWritten(t *testing.T) {
	for _, want := range []patterns.FailPolicy{patterns.FailOpen, patterns.FailClosed} {
		text, err := want.MarshalText()
		got := 1 - want
		if err != nil || got.UnmarshalText(text) != nil || got != want {
			t.Errorf("%v is written as %q (%v) and read as %v", want, text, err, got)
		}
	}
	p := patterns.FailClosed
	err := p.UnmarshalText([]byte(strings.Repeat("open", 100)))
	text, ok := errors.AsType[*patterns.TextError](err)
	if !ok || len(err.Error()) > 150 || p != patterns.FailClosed {
		t.Errorf("%v, %v, %v", p, err, text)
	}
	if _, err := patterns.FailPolicy(9).MarshalText(); err == nil {
		t.Error("an invalid policy was written")
	}
}
