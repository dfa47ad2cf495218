package clientip

import (
	"net/netip"
	"slices"
	"strings"
)

// maxHops is how many entries of a header are looked at. A chain of trusted proxies is much
// shorter; a longer one was made up to keep the server busy.
const maxHops = 32

// Resolver finds clients. It is safe for concurrent use.
type Resolver struct {
	trusted []netip.Prefix
	unix    bool
	header  Header
	name    string
}

// Source is where a request's headers are: an http.Header, say.
type Source interface {
	// Values returns the values of all headers of a name in canonical form, in their order.
	Values(name string) []string
}

// Of returns the address of the client whose request came from peer, a host with or without a
// port, with that header. It is invalid if nobody knows: the peer has no address, or a proxy
// passes on what is none. A proxy is the client only of requests for which it names nobody:
// else whoever is behind it could be taken for it, and have what it may. An IPv4 address in
// IPv6 form is given as IPv4, and zones are dropped.
func (r *Resolver) Of(peer string, h Source) netip.Addr {
	client, ok := parse(peer)
	if len(r.trusted) == 0 && !r.unix || !r.trusts(client, ok) {
		return client
	}
	values := h.Values(r.name)
	switch r.header {
	case RealIP:
		switch len(values) {
		case 0:
			return client
		case 1:
			a, _ := parse(values[0])
			return a
		}
		return netip.Addr{} // which of them did the proxy write?
	case Forwarded:
		hops, ok := forwardedFor(values)
		if !ok {
			return netip.Addr{}
		}
		return r.last(client, hops)
	}
	return r.last(client, backwards(values))
}

// trusts reports whether the word of a hop is taken.
func (r *Resolver) trusts(hop netip.Addr, known bool) bool {
	if !known {
		return r.unix
	}
	return slices.ContainsFunc(r.trusted, func(p netip.Prefix) bool { return p.Contains(hop) })
}

// last follows the hops, the nearest first, as far as they are trusted. Entries that are empty
// are none (RFC 9110, section 5.6.1).
func (r *Resolver) last(client netip.Addr, hops func(func(string) bool)) netip.Addr {
	n := 0
	for hop := range hops {
		a, ok := parse(hop)
		n++
		switch {
		case n > maxHops:
			return netip.Addr{}
		case strings.Trim(hop, " \t") == "":
			continue
		case !ok:
			return netip.Addr{}
		}
		if client = a; !r.trusts(a, true) {
			break
		}
	}
	return client
}

// backwards iterates over the entries of lists, the last first.
func backwards(lists []string) func(func(string) bool) {
	return func(yield func(string) bool) {
		for i := len(lists) - 1; i >= 0; i-- {
			for rest := lists[i]; ; {
				comma := strings.LastIndexByte(rest, ',')
				if !yield(rest[comma+1:]) {
					return
				}
				if comma < 0 {
					break
				}
				rest = rest[:comma]
			}
		}
	}
}

// parse reads an address, with or without a port, an IPv6 one with or without brackets. A port
// may be a name (RFC 7239, section 6).
func parse(text string) (a netip.Addr, ok bool) {
	text = strings.Trim(text, " \t")
	if len(text) > 64 { // no address is as long
		return a, false
	}
	if colon := strings.IndexByte(text, '_') - 1; colon > 0 && text[colon] == ':' && isPort(text[colon+2:]) {
		text = text[:colon]
	}
	a, err := netip.ParseAddr(text)
	if err != nil {
		if inner, found := strings.CutPrefix(text, "["); found && strings.HasSuffix(inner, "]") {
			a, err = netip.ParseAddr(inner[:len(inner)-1])
			if err != nil || !a.Is6() {
				return netip.Addr{}, false
			}
		} else {
			with, err := netip.ParseAddrPort(text)
			if err != nil {
				return netip.Addr{}, false
			}
			a = with.Addr()
		}
	}
	return a.Unmap().WithZone(""), true
}

// isPort reports whether s is the name of a port, after its underscore.
func isPort(s string) bool {
	return s != "" && strings.IndexFunc(s, func(r rune) bool {
		return (r < '0' || r > '9') && (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && r != '.' && r != '_' && r != '-'
	}) < 0
}

// Key is a as a key of limits: an IPv4 address as it is, and of an IPv6 address its /64,
// because whoever has one address of that has all of them. It is "" if a is invalid.
func Key(a netip.Addr) string {
	switch {
	case !a.IsValid():
		return ""
	case a.Is4():
		return a.String()
	}
	p, _ := a.Prefix(64)
	return p.String()
}
