package ratelimiter

import (
	"cmp"
	"fmt"
	"math"
	"math/bits"
	"strconv"
	"strings"
	"time"
)

// Rate is how much may pass: Count permits per Per, and at most Burst of them at one
// instant. The zero Rate is none, and no limiter takes it. Rates can be compared.
type Rate struct {
	// Count is from 1 to 1,000,000,000,000, and at most one per nanosecond of Per.
	Count int64
	// Per is a whole number of milliseconds, up to 366 days.
	Per time.Duration
	// Burst is how many may pass at one instant after idle time, from 1 to
	// 1,000,000,000,000. 0 means Count. Only the token bucket has one.
	Burst int64
}

// MaxTiers is how many rates may hold at once.
const MaxTiers = 4

// Tiers are rates that hold at once: a request passes if each of them lets it, and
// otherwise uses none. Unused places at the end are zero. Tiers can be compared.
type Tiers [MaxTiers]Rate

const (
	maxCount = 1_000_000_000_000
	maxPer   = 366 * 24 * time.Hour
	// maxFill is the longest time that a burst may take to come back.
	maxFill = 1 << 62
	// tooMany as a Count says that there were more rates than have places.
	tooMany = math.MinInt64
)

// withDefaults returns r with its Burst.
func (r Rate) withDefaults() Rate {
	r.Burst = cmp.Or(r.Burst, r.Count)
	return r
}

// Validate returns nil or a *RateError.
func (r Rate) Validate() error {
	if problem := r.problem(); problem != "" {
		return &RateError{Text: r.String(), Problem: problem}
	}
	return nil
}

func (r Rate) problem() string {
	r = r.withDefaults()
	switch {
	case r.Count == tooMany:
		return fmt.Sprintf("there are more than %d rates", MaxTiers)
	case r.Count < 1:
		return "the count must be at least 1"
	case r.Count > maxCount:
		return fmt.Sprintf("the count must be at most %d", int64(maxCount))
	case r.Per < 1:
		return "the period must be longer than 0"
	case r.Per > maxPer:
		return "the period must be at most 366 days"
	case r.Per%time.Millisecond != 0:
		return "the period must be a whole number of milliseconds"
	case r.Count > int64(r.Per):
		return "the rate must be at most one per nanosecond"
	case r.Burst < 1:
		return "the burst must be at least 1"
	case r.Burst > maxCount:
		return fmt.Sprintf("the burst must be at most %d", int64(maxCount))
	}
	high, low := bits.Mul64(uint64(r.Burst), uint64(r.Per))
	if high >= uint64(r.Count) {
		return "the burst would take more than 146 years to come back"
	}
	if fill, _ := bits.Div64(high, low, uint64(r.Count)); fill > maxFill {
		return "the burst would take more than 146 years to come back"
	}
	return ""
}

// unit is a period that has a name.
type unit struct {
	per   time.Duration
	name  string // of one, as in 10/second
	short string // of several, as in 10/5s
}

// units are all there are, the longest first.
func units() [5]unit {
	return [...]unit{
		{24 * time.Hour, "day", "d"},
		{time.Hour, "hour", "h"},
		{time.Minute, "minute", "m"},
		{time.Second, "second", "s"},
		{time.Millisecond, "ms", "ms"},
	}
}

// String returns the text that Parse reads as r, if r is valid.
func (r Rate) String() string {
	var b strings.Builder
	b.WriteString(strconv.FormatInt(r.Count, 10) + "/")
	switch u, n := r.unit(); n {
	case 0:
		b.WriteString(r.Per.String())
	case 1:
		b.WriteString(u.name)
	default:
		b.WriteString(strconv.FormatInt(int64(n), 10) + u.short)
	}
	if r.Burst != 0 && r.Burst != r.Count {
		b.WriteString(" burst " + strconv.FormatInt(r.Burst, 10))
	}
	return b.String()
}

// unit returns the longest unit of which Per is a whole number n; 0 if there is none.
func (r Rate) unit() (u unit, n time.Duration) {
	for _, u := range units() {
		if r.Per > 0 && r.Per%u.per == 0 {
			return u, r.Per / u.per
		}
	}
	return unit{}, 0
}

// Several returns rates as Tiers. More than MaxTiers make invalid Tiers, which
// Config.Validate refuses.
func Several(rates ...Rate) (t Tiers) {
	if copy(t[:], rates) < len(rates) {
		return Tiers{{Count: tooMany}}
	}
	return t
}

// String returns the text that ParseTiers reads as t, if t is valid.
func (t Tiers) String() string {
	texts := make([]string, 0, MaxTiers)
	for _, r := range t.rates() {
		texts = append(texts, r.String())
	}
	return strings.Join(texts, ", ")
}

// rates are those that are set, up to the last.
func (t Tiers) rates() []Rate {
	n := MaxTiers
	for n > 0 && t[n-1] == (Rate{}) {
		n--
	}
	return t[:n]
}

func (t Tiers) withDefaults() Tiers {
	for i := range t {
		t[i] = t[i].withDefaults()
	}
	return t
}
