package precedence

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"strings"

	"github.com/bulwark-go/bulwark/integrations/internal/clientip"
	"github.com/bulwark-go/bulwark/patterns"
)

// Config is how priorities are told. The zero value reads no header: all requests are normal.
type Config struct {
	// Header has the priority in it: background, low, normal, high or critical. Anything else
	// counts as if it were not there. Default none is read.
	Header string

	// Default is the priority of a request that does not say. Default Normal.
	Default patterns.Priority

	// Most is what anybody may claim. A higher claim counts as Most. Default Normal.
	Most patterns.Priority

	// Caps are for those who may claim more than Most, or less. The first that a client is in
	// holds. Default none.
	Caps []Cap
}

// Cap is what some clients may claim.
type Cap struct {
	From []string // addresses and CIDR ranges
	Most patterns.Priority
}

// DefaultHeader is the header that clients send, and that servers may be told to read.
const DefaultHeader = "X-Priority"

// Faults returns every fault of c, of a field of that name, as a *patterns.ConfigError.
func (c Config) Faults(pattern, field string) (faults []error) {
	fault := func(what string, value any, problem string) {
		faults = append(faults, &patterns.ConfigError{Pattern: pattern, Field: field + "." + what, Value: value, Problem: problem})
	}
	valid := func(what string, p patterns.Priority) {
		if !p.Valid() {
			fault(what, p, "must be from Background to Critical")
		}
	}
	if c.Header != "" && !IsToken(c.Header) {
		fault("Header", fmt.Sprintf("%q", c.Header), "is no name of a header")
	}
	if c.Header == "" && (c.Most != patterns.Normal || len(c.Caps) > 0) {
		fault("Header", `""`, "Most and Caps need it")
	}
	valid("Default", c.Default)
	valid("Most", c.Most)
	for i, by := range c.Caps {
		valid(fmt.Sprintf("Caps[%d].Most", i), by.Most)
		if len(by.From) == 0 {
			fault(fmt.Sprintf("Caps[%d].From", i), by.From, "is of nobody")
		}
		for _, text := range by.From {
			if _, problem := clientip.ParseRange(text); problem != "" {
				fault(fmt.Sprintf("Caps[%d].From", i), fmt.Sprintf("%q", text), problem)
			}
		}
	}
	return faults
}

// IsToken reports whether s may be the name of a header.
func IsToken(s string) bool {
	return strings.IndexFunc(s, func(r rune) bool {
		alphanumeric := r >= '0' && r <= '9' || r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z'
		return !alphanumeric && !strings.ContainsRune("!#$%&'*+-.^_`|~", r)
	}) < 0
}

// Rules tell priorities. They are safe for concurrent use.
type Rules struct {
	header        string
	standard, top patterns.Priority
	caps          []ceiling
}

type ceiling struct {
	from []netip.Prefix
	most patterns.Priority
}

// New returns Rules. The error names every fault.
func New(c Config) (*Rules, error) {
	if faults := c.Faults("precedence", "Config"); len(faults) > 0 {
		return nil, errors.Join(faults...)
	}
	r := &Rules{header: c.Header, standard: c.Default, top: c.Most}
	for _, by := range c.Caps {
		one := ceiling{most: by.Most}
		for _, text := range by.From {
			p, _ := clientip.ParseRange(text)
			one.from = append(one.from, p)
		}
		r.caps = append(r.caps, one)
	}
	return r, nil
}

// Header is the header that is read; "" if none is.
func (r *Rules) Header() string { return r.header }

// Capped reports whether it matters who claims.
func (r *Rules) Capped() bool { return len(r.caps) > 0 }

// Of is the priority of a request of a client that claims one. What nobody claimed, "", or
// nobody understands, is the default.
func (r *Rules) Of(claim string, client netip.Addr) patterns.Priority {
	p, ok := Parse(claim)
	if !ok {
		return r.standard
	}
	return min(p, r.most(client))
}

func (r *Rules) most(client netip.Addr) patterns.Priority {
	for _, c := range r.caps {
		for _, p := range c.from {
			if p.Contains(client) {
				return c.most
			}
		}
	}
	return r.top
}

// Parse reads the name of a priority, in whatever case.
func Parse(text string) (p patterns.Priority, ok bool) {
	for p = patterns.Background; p <= patterns.Critical; p++ {
		if strings.EqualFold(text, p.String()) {
			return p, true
		}
	}
	return patterns.Normal, false
}

// key is that of the priority in a context.
type key struct{}

// With returns a context of which From says p.
func With(ctx context.Context, p patterns.Priority) context.Context {
	return context.WithValue(ctx, key{}, p)
}

// From returns the priority of the request that ctx is of, if it is known.
func From(ctx context.Context) (p patterns.Priority, ok bool) {
	p, ok = ctx.Value(key{}).(patterns.Priority)
	return p, ok
}
