package circuitbreaker

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/bulwark-go/bulwark/patterns"
)

// windowText is what UnmarshalText reads.
const windowText = `a number of results such as 100, a time such as 10s, or "10s in 20 buckets"`

// MarshalText returns what UnmarshalText reads as w: "100" for Last(100), "10s" for
// During(10*time.Second), "10s in 20 buckets" with Buckets, and "default" for the zero
// Window. The error is that of Config.Validate.
func (w Window) MarshalText() ([]byte, error) {
	f := newChecks()
	f.window(w)
	if err := f.Err(); err != nil {
		return nil, err
	}
	switch w.kind {
	case byCount:
		return []byte(strconv.Itoa(w.size)), nil
	case byTime:
		text := w.span.String()
		if w.bucketed {
			text += fmt.Sprintf(" in %d buckets", w.buckets)
		}
		return []byte(text), nil
	}
	return []byte("default"), nil
}

// UnmarshalText reads a Window as MarshalText writes it. The error is a *patterns.TextError,
// or says why there is no such Window.
func (w *Window) UnmarshalText(text []byte) error {
	fresh, ok := parseWindow(strings.Fields(string(text)))
	if !ok {
		return &patterns.TextError{Text: string(text), Want: windowText}
	}
	f := newChecks()
	f.window(fresh)
	if err := f.Err(); err != nil {
		return err
	}
	*w = fresh
	return nil
}

func parseWindow(words []string) (w Window, ok bool) {
	switch {
	case len(words) == 1 && words[0] == "default":
		return Window{}, true
	case len(words) == 4 && words[1] == "in" && words[3] == "buckets":
		buckets, err := strconv.Atoi(words[2])
		if err != nil {
			return w, false
		}
		w.bucketed, w.buckets = true, buckets
	case len(words) != 1:
		return w, false
	}
	if n, err := strconv.Atoi(words[0]); err == nil {
		w.kind, w.size = byCount, n
		return w, true
	}
	span, err := time.ParseDuration(words[0])
	w.kind, w.span = byTime, span
	return w, err == nil
}
