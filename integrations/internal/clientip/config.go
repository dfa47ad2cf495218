package clientip

import (
	"errors"
	"fmt"
	"net/netip"
	"strings"

	"github.com/bulwark-go/bulwark/patterns"
)

// Config is whose word about a client is taken. The zero value takes nobody's: the client is
// the peer.
type Config struct {
	// Trusted are the proxies that are believed: addresses, CIDR ranges, and "unix" for peers
	// without an address, as on a Unix socket. A range that has everybody in it is refused.
	// Default none.
	Trusted []string

	// Header is what those proxies write. One, because they pass on the others as the client
	// sent them. Needs Trusted. Default ForwardedFor.
	Header Header
}

// Header is one in which proxies say where a request came from.
type Header uint8

const (
	// ForwardedFor is X-Forwarded-For: a list, to which each proxy adds its peer.
	ForwardedFor Header = iota
	// Forwarded is Forwarded, of RFC 7239: such a list too.
	Forwarded
	// RealIP is X-Real-IP: one address, which the proxy next to this server sets.
	RealIP

	headers
)

// Unix as one of Config.Trusted means peers that have no address.
const Unix = "unix"

func (h Header) String() string {
	switch h {
	case ForwardedFor:
		return "X-Forwarded-For"
	case Forwarded:
		return "Forwarded"
	case RealIP:
		return "X-Real-Ip"
	}
	return fmt.Sprintf("header(%d)", uint8(h))
}

// Faults returns every fault of c, of a field of that name, as a *patterns.ConfigError.
func (c Config) Faults(pattern, field string) (faults []error) {
	fault := func(what string, value any, problem string) {
		faults = append(faults, &patterns.ConfigError{Pattern: pattern, Field: field + "." + what, Value: value, Problem: problem})
	}
	for _, text := range c.Trusted {
		if text == Unix {
			continue
		}
		if _, problem := ParseRange(text); problem != "" {
			fault("Trusted", fmt.Sprintf("%q", text), problem)
		}
	}
	if c.Header >= headers {
		fault("Header", c.Header, "must be ForwardedFor, Forwarded or RealIP")
	} else if c.Header != ForwardedFor && len(c.Trusted) == 0 {
		fault("Header", c.Header, "needs Trusted")
	}
	return faults
}

// ParseRange reads an address or a CIDR range. The problem is "" if it is one.
func ParseRange(text string) (p netip.Prefix, problem string) {
	if !strings.Contains(text, "/") {
		addr, err := netip.ParseAddr(text)
		if err != nil || addr.Zone() != "" {
			return p, "is neither an address nor a CIDR range, such as 10.0.0.0/8"
		}
		addr = addr.Unmap()
		return netip.PrefixFrom(addr, addr.BitLen()), ""
	}
	p, err := netip.ParsePrefix(text)
	switch {
	case err != nil:
		return p, "is neither an address nor a CIDR range, such as 10.0.0.0/8"
	case p.Addr().Is4In6():
		return p, "write it as the IPv4 range that it is"
	case p.Bits() == 0:
		return p, "has everybody in it, who could then claim to be anybody"
	case p != p.Masked():
		return p, fmt.Sprintf("has an address beyond its mask: is %v meant?", p.Masked())
	}
	return p, ""
}

// New returns a Resolver. The error names every fault.
func New(c Config) (*Resolver, error) {
	if faults := c.Faults("clientip", "Config"); len(faults) > 0 {
		return nil, errors.Join(faults...)
	}
	r := &Resolver{header: c.Header, name: c.Header.String()}
	for _, text := range c.Trusted {
		if text == Unix {
			r.unix = true
			continue
		}
		p, _ := ParseRange(text)
		r.trusted = append(r.trusted, p)
	}
	return r, nil
}
