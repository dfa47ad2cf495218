package nethttp

import (
	"net/http"
	"net/netip"

	"github.com/bulwark-go/bulwark/integrations/internal/clientip"
)

// KeyFunc says whose request it is: the tenant, user or route that a guard counts it for. ""
// is nobody's in particular: all such requests count together. It runs on the request's
// goroutine.
//
// What anybody can send, such as a header, anybody can make up. A key that is worth something
// to have (the claim of a token) comes from a middleware that has checked it: see ByValue.
type KeyFunc func(r *http.Request) string

// ByHeader is the value of a header. One that is there several times counts as the first.
func ByHeader(name string) KeyFunc {
	name = http.CanonicalHeaderKey(name)
	return func(r *http.Request) string {
		if v := r.Header[name]; len(v) > 0 {
			return v[0]
		}
		return ""
	}
}

// ByCookie is the value of a cookie.
func ByCookie(name string) KeyFunc {
	return func(r *http.Request) string {
		c, err := r.Cookie(name)
		if err != nil {
			return ""
		}
		return c.Value
	}
}

// ByRoute is the pattern that the request matched, of http.ServeMux or chi ("GET /users/{id}").
// There is none yet in a middleware around the router itself, nor ever with one that does not
// set http.Request.Pattern: then all requests have the same.
func ByRoute() KeyFunc { return func(r *http.Request) string { return r.Pattern } }

// ByValue is the string that the request's context has for key: the subject of a token, say,
// which the middleware that checked the token has put there.
func ByValue(key any) KeyFunc {
	return func(r *http.Request) string {
		s, _ := r.Context().Value(key).(string)
		return s
	}
}

// Proxies says whose word about a client is taken: see ClientIP and TrustProxies. The zero
// value takes nobody's.
//
//	Trusted []string   the proxies that are believed: addresses, CIDR ranges, and "unix" for
//	                   peers on a Unix socket, which have no address. A range that has
//	                   everybody in it is a fault. Default none
//	Header             the one header that all of them write; the others are the client's to make up. Needs Trusted.
//	                   Default ForwardedFor
//
// With several proxies in a row Trusted has all of them: the client is the last hop that is
// none.
type Proxies = clientip.Config

// Headers that Proxies may name.
const (
	ForwardedFor = clientip.ForwardedFor // X-Forwarded-For: a list, to which each proxy adds its peer
	Forwarded    = clientip.Forwarded    // Forwarded, of RFC 7239: such a list too
	RealIP       = clientip.RealIP       // X-Real-IP: one address, of the proxy next to this server
)

// ClientIP returns a function that says which address a request came from: the peer's, or
// what trusted proxies say. It is invalid if nobody knows. The error names every fault.
func ClientIP(p Proxies) (func(*http.Request) netip.Addr, error) {
	c, err := clientip.New(p)
	if err != nil {
		return nil, err
	}
	return func(r *http.Request) netip.Addr { return c.Of(r.RemoteAddr, r.Header) }, nil
}
