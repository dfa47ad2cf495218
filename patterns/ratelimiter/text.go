package ratelimiter

import (
	"fmt"
	"strconv"
	"strings"
	"time"
)

// Parse reads a Rate such as "10/second", "100/10s" or "5/minute burst 20":
//
//	count / [number] unit [burst number]
//
// A unit is ms, s, m, h or d, or a longer form of its name: sec, min, hr, seconds. Case
// does not matter, and there may be spaces and tabs around each part. Everything else
// is an error, a *RateError: there is no text that means "unlimited".
func Parse(text string) (Rate, error) {
	p := reader{rest: text}
	r, problem := p.rate()
	if problem == "" {
		problem = r.problem()
	}
	if problem != "" {
		return Rate{}, &RateError{Text: text, Problem: problem}
	}
	return r, nil
}

// MustParse is Parse for a text that is known to be good. It panics if it is not.
func MustParse(text string) Rate {
	r, err := Parse(text)
	if err != nil {
		panic(err)
	}
	return r
}

// ParseTiers reads up to MaxTiers rates with commas between them, such as
// "10/second, 1000/hour". The error is a *RateError.
func ParseTiers(text string) (Tiers, error) {
	parts := strings.SplitN(text, ",", MaxTiers+1)
	if len(parts) > MaxTiers {
		return Tiers{}, &RateError{Text: text, Problem: fmt.Sprintf("there are more than %d rates", MaxTiers)}
	}
	var t Tiers
	for i, part := range parts {
		r, err := Parse(part)
		if err != nil {
			return Tiers{}, err
		}
		t[i] = r
	}
	return t, nil
}

// MustParseTiers is ParseTiers for a text that is known to be good. It panics if it is
// not.
func MustParseTiers(text string) Tiers {
	t, err := ParseTiers(text)
	if err != nil {
		panic(err)
	}
	return t
}

// reader takes a text apart from the left.
type reader struct{ rest string }

func (p *reader) rate() (r Rate, problem string) {
	p.spaces()
	if r.Count, problem = p.number("the count"); problem != "" {
		return r, problem
	}
	p.spaces()
	if !strings.HasPrefix(p.rest, "/") {
		return r, "there is no slash after the count"
	}
	p.rest = p.rest[1:]
	p.spaces()
	if r.Per, problem = p.period(); problem != "" {
		return r, problem
	}
	r.Burst = r.Count
	if p.spaces(); p.rest == "" {
		return r, ""
	}
	if word := p.letters(); !strings.EqualFold(word, "burst") || p.spaces() == 0 {
		return r, "only a burst with its number may follow the unit"
	}
	if r.Burst, problem = p.number("the burst"); problem != "" {
		return r, problem
	}
	if p.spaces(); p.rest != "" {
		return r, "something follows the burst"
	}
	if r.Burst == 0 { // to Rate it means Count
		return r, "the burst must be at least 1"
	}
	return r, ""
}

func (p *reader) period() (per time.Duration, problem string) {
	n := int64(1)
	if p.rest != "" && isDigit(p.rest[0]) {
		if n, problem = p.number("the period"); problem != "" {
			return 0, problem
		}
		p.spaces()
	}
	word := p.letters()
	one := unitOf(strings.ToLower(word))
	switch {
	case one == 0:
		return 0, fmt.Sprintf("%.20q is no unit: use ms, s, m, h or d", word)
	case n > int64(maxPer/one):
		return 0, "the period must be at most 366 days"
	}
	return time.Duration(n) * one, ""
}

func unitOf(word string) time.Duration {
	switch word {
	case "ms", "millisecond", "milliseconds":
		return time.Millisecond
	case "s", "sec", "secs", "second", "seconds":
		return time.Second
	case "m", "min", "mins", "minute", "minutes":
		return time.Minute
	case "h", "hr", "hrs", "hour", "hours":
		return time.Hour
	case "d", "day", "days":
		return 24 * time.Hour
	}
	return 0
}

// spaces skips spaces and tabs and returns how many there were.
func (p *reader) spaces() int {
	before := len(p.rest)
	p.rest = strings.TrimLeft(p.rest, " \t")
	return before - len(p.rest)
}

// number reads ASCII digits: no sign, point, exponent or separator.
func (p *reader) number(what string) (n int64, problem string) {
	end := 0
	for end < len(p.rest) && isDigit(p.rest[end]) {
		end++
	}
	if end == 0 {
		return 0, what + " must be a whole number"
	}
	n, err := strconv.ParseInt(p.rest[:end], 10, 64)
	if err != nil {
		return 0, what + " is too large"
	}
	p.rest = p.rest[end:]
	return n, ""
}

func (p *reader) letters() string {
	end := 0
	for end < len(p.rest) && (p.rest[end]|0x20 >= 'a' && p.rest[end]|0x20 <= 'z') {
		end++
	}
	word := p.rest[:end]
	p.rest = p.rest[end:]
	return word
}

func isDigit(c byte) bool { return c >= '0' && c <= '9' }
