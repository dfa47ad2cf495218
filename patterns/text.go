package patterns

import (
	"fmt"
	"strconv"
	"strings"
	"time"
)

// TextError says that a text is no value of a type, as in a configuration file.
type TextError struct {
	Text string
	Want string // what is read, with an example
}

// Error quotes the beginning of a text that is long.
func (e *TextError) Error() string {
	const most = 80
	text, cut := e.Text, ""
	if len(text) > most {
		text, cut = text[:most], "…"
	}
	return fmt.Sprintf("%q%s is not %s", text, cut, e.Want)
}

// MarshalText returns what UnmarshalText reads as m: "strict" or "leased(64, 100ms)".
func (m Mode) MarshalText() ([]byte, error) {
	if err := m.Validate(); err != nil {
		return nil, err
	}
	return []byte(m.String()), nil
}

// UnmarshalText reads "strict", "leased", "leased(size)" or "leased(size, lifetime)", with the
// defaults of Leased for what is left out. The error is a *TextError, or as for Validate.
func (m *Mode) UnmarshalText(text []byte) error {
	mode, ok := parseMode(strings.TrimSpace(string(text)))
	if !ok {
		return &TextError{Text: string(text), Want: "strict, leased, or leased(64, 100ms)"}
	}
	if err := mode.Validate(); err != nil {
		return err
	}
	*m = mode
	return nil
}

func parseMode(text string) (m Mode, ok bool) {
	switch text {
	case "strict":
		return Strict, true
	case "leased":
		return Leased(0, 0), true
	}
	inner, opened := strings.CutPrefix(text, "leased(")
	inner, closed := strings.CutSuffix(inner, ")")
	if !opened || !closed {
		return m, false
	}
	first, second, two := strings.Cut(inner, ",")
	size, err := strconv.Atoi(strings.TrimSpace(first))
	if err != nil || size == 0 { // to Leased 0 is a default
		return m, false
	}
	ttl := DefaultLeaseTTL
	if two {
		if ttl, err = time.ParseDuration(strings.TrimSpace(second)); err != nil {
			return m, false
		}
	}
	return Mode{size: size, ttl: ttl}, true
}

// MarshalText returns "fail-open" or "fail-closed".
func (p FailPolicy) MarshalText() ([]byte, error) {
	if !p.Valid() {
		return nil, &TextError{Text: p.String(), Want: "fail-open or fail-closed"}
	}
	return []byte(p.String()), nil
}

// UnmarshalText reads "fail-open" or "fail-closed". The error is a *TextError.
func (p *FailPolicy) UnmarshalText(text []byte) error {
	switch strings.TrimSpace(string(text)) {
	case "fail-open":
		*p = FailOpen
	case "fail-closed":
		*p = FailClosed
	default:
		return &TextError{Text: string(text), Want: "fail-open or fail-closed"}
	}
	return nil
}
