package loadshedder

import (
	"fmt"
	"strings"
	"time"

	"github.com/bulwark-go/bulwark/patterns"
)

// lawText is what UnmarshalText reads.
const lawText = "codel(5ms, 100ms), pie(15ms) or any-delay"

// MarshalText returns what UnmarshalText reads as l; for the zero Law that is "default".
// The error is that of Config.Validate.
func (l Law) MarshalText() ([]byte, error) {
	if problem := l.problem(); problem != "" {
		return nil, &patterns.ConfigError{Pattern: "loadshedder", Field: "QueueDelay", Value: l, Problem: problem}
	}
	switch l.kind {
	case lawCoDel:
		return fmt.Appendf(nil, "codel(%v, %v)", l.target, l.interval), nil
	case lawPIE:
		return fmt.Appendf(nil, "pie(%v)", l.target), nil
	case lawNone:
		return []byte("any-delay"), nil
	}
	return []byte("default"), nil
}

// UnmarshalText reads "codel(target, interval)", "pie(target)", "any-delay" or "default". The
// error is a *patterns.TextError, or says why there is no such Law.
func (l *Law) UnmarshalText(text []byte) error {
	fresh, ok := parseLaw(strings.TrimSpace(string(text)))
	if !ok {
		return &patterns.TextError{Text: string(text), Want: lawText}
	}
	if problem := fresh.problem(); problem != "" {
		return &patterns.ConfigError{Pattern: "loadshedder", Field: "QueueDelay", Value: fresh, Problem: problem}
	}
	*l = fresh
	return nil
}

func parseLaw(text string) (l Law, ok bool) {
	switch text {
	case "any-delay":
		return AnyDelay(), true
	case "default":
		return Law{}, true
	}
	name, inner, opened := strings.Cut(text, "(")
	inner, closed := strings.CutSuffix(inner, ")")
	if !opened || !closed {
		return l, false
	}
	var times []time.Duration
	for part := range strings.SplitSeq(inner, ",") {
		d, err := time.ParseDuration(strings.TrimSpace(part))
		if err != nil {
			return l, false
		}
		times = append(times, d)
	}
	switch {
	case name == "codel" && len(times) == 2:
		return CoDel(times[0], times[1]), true
	case name == "pie" && len(times) == 1:
		return PIE(times[0]), true
	}
	return l, false
}
