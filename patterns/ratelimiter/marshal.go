package ratelimiter

import (
	"strings"

	"github.com/bulwark-go/bulwark/patterns"
)

// MarshalText returns what Parse reads as r, and nothing for the zero Rate. The error is a
// *RateError.
func (r Rate) MarshalText() ([]byte, error) {
	if r == (Rate{}) {
		return nil, nil
	}
	if err := r.Validate(); err != nil {
		return nil, err
	}
	return []byte(r.String()), nil
}

// UnmarshalText reads a Rate as Parse does, and the zero Rate, which no limiter takes, from
// an empty text. The error is a *RateError.
func (r *Rate) UnmarshalText(text []byte) error {
	if len(text) == 0 {
		*r = Rate{}
		return nil
	}
	rate, err := Parse(string(text))
	if err == nil {
		*r = rate
	}
	return err
}

// MarshalText returns what ParseTiers reads as t, and nothing for the zero Tiers. The error
// is a *RateError.
func (t Tiers) MarshalText() ([]byte, error) {
	for _, r := range t.rates() {
		if err := r.Validate(); err != nil {
			return nil, err
		}
	}
	return []byte(t.String()), nil
}

// UnmarshalText reads Tiers as ParseTiers does, and none from an empty text. The error is a
// *RateError.
func (t *Tiers) UnmarshalText(text []byte) error {
	if len(text) == 0 {
		*t = Tiers{}
		return nil
	}
	tiers, err := ParseTiers(string(text))
	if err == nil {
		*t = tiers
	}
	return err
}

// MarshalText returns the algorithm's name, such as "token-bucket".
func (a Algorithm) MarshalText() ([]byte, error) {
	if !a.Valid() {
		return nil, &patterns.TextError{Text: a.String(), Want: algorithmText()}
	}
	return []byte(a.String()), nil
}

// UnmarshalText reads an algorithm's name, such as "token-bucket". The error is a
// *patterns.TextError.
func (a *Algorithm) UnmarshalText(text []byte) error {
	name := strings.TrimSpace(string(text))
	for one := range algorithms {
		if one.String() == name {
			*a = one
			return nil
		}
	}
	return &patterns.TextError{Text: string(text), Want: algorithmText()}
}

func algorithmText() string {
	var names []string
	for a := range algorithms {
		names = append(names, a.String())
	}
	return "one of " + strings.Join(names, ", ")
}
