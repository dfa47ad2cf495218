package grpcguard

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"google.golang.org/grpc/codes"

	"github.com/bulwark-go/bulwark/integrations/internal/clientip"
	"github.com/bulwark-go/bulwark/integrations/internal/precedence"
	"github.com/bulwark-go/bulwark/patterns"
)

// ServerOption is something about a server's guard that is not the default.
type ServerOption interface{ server(*settings) }

// ClientOption is something about a client's guard that is not the default.
type ClientOption interface{ client(*settings) }

// Option is one of both.
type Option interface {
	ServerOption
	ClientOption
}

type both func(*settings)

func (f both) server(s *settings) { f(s) }
func (f both) client(s *settings) { f(s) }

type serverOnly func(*settings)

func (f serverOnly) server(s *settings) { f(s) }

type clientOnly func(*settings)

func (f clientOnly) client(s *settings) { f(s) }

// Exclude are the methods that are not guarded: each as it is ("/shop.Orders/List"), a service
// or more with all that is below it ("/grpc.health.v1.Health/..."), or as a pattern of
// path.Match ("/shop.*/Ping"). Default the health service; Exclude() is none.
func Exclude(methods ...string) Option {
	methods = slices.Clone(methods)
	return both(func(s *settings) { s.exclude = methods })
}

// Key counts calls by key, for guards that do: limiters, bulkheads with partitions, fair
// shedders. Several make one of all of them. A key of more than 128 bytes is hashed. Default
// none.
func Key(by ...KeyFunc) Option {
	by = slices.Clone(by)
	return both(func(s *settings) {
		for _, f := range by {
			s.fault(f != nil, "Key", "nil", "is nil")
		}
		s.keys = append(s.keys, by...)
	})
}

// Weight says how much work a call is. Default 1.
func Weight(f func(ctx context.Context, c Call) int) Option {
	return both(func(s *settings) {
		s.fault(f != nil, "Weight", "nil", "is nil")
		s.weight = f
	})
}

// Outcomes says what some codes mean to guards, in place of what the package's table says. A
// success is nothing to be retried; neither is what is ignored.
func Outcomes(by map[codes.Code]patterns.Outcome) Option {
	return both(func(s *settings) {
		for code, o := range by {
			known := int(code) < len(s.outcomes)
			s.fault(known, "Outcomes", uint32(code), "is no code of gRPC")
			s.fault(o.Valid(), "Outcomes", o, "is no outcome")
			s.fault(code != codes.OK || o == patterns.Success, "Outcomes", code, "is always a success")
			if known {
				s.outcomes[code] = o
			}
		}
	})
}

// Idempotent are methods that may be called again after an attempt that may have done
// something, as a retry and a hedge do, in the form of Exclude; "/..." is all of them. Those
// that say so themselves need not be named: they have an idempotency_level in their .proto,
// and the program has their generated code. Default none else.
func Idempotent(methods ...string) Option {
	methods = slices.Clone(methods)
	return both(func(s *settings) { s.idempotent = append(s.idempotent, methods...) })
}

// PerClient counts calls by the address they come from: an IPv6 client's is its /64. With Key
// it is one part of it, before those of the Keys that come later. Behind a proxy it needs
// TrustProxies; without, the proxy is the only client.
func PerClient() ServerOption {
	return serverOnly(func(s *settings) { s.keys = append(s.keys, nil) })
}

// Proxies says whose word about a client is taken: see TrustProxies. The zero value takes
// nobody's.
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
	ForwardedFor = clientip.ForwardedFor // x-forwarded-for: a list, to which each proxy adds its peer
	Forwarded    = clientip.Forwarded    // forwarded, of RFC 7239: such a list too
	RealIP       = clientip.RealIP       // x-real-ip: one address, of the proxy next to this server
)

// TrustProxies says whose word about a client is taken. Default nobody's.
func TrustProxies(p Proxies) ServerOption {
	p.Trusted = slices.Clone(p.Trusted)
	return serverOnly(func(s *settings) { s.proxies = p })
}

// Priorities is how priorities are told: see Priority. The zero value reads no metadata.
//
//	Header  string             name of the metadata: background, low, normal, high or critical.
//	                           Anything else counts as if it were not there. Default none is read
//	Default patterns.Priority  of a call that does not say. Default Normal
//	Most    patterns.Priority  what anybody may claim; a higher claim counts as Most. Default Normal
//	Caps    []Cap              who may claim more than Most, or less: the first holds that a client
//	                           is in. Default none
type Priorities = precedence.Config

// Cap is what some clients may claim to be.
//
//	From []string             addresses and CIDR ranges
//	Most patterns.Priority    the highest that counts; a higher claim counts as it
type Cap = precedence.Cap

// Priority has a call's priority told by its metadata, within what its client may claim. What
// was found is in the call's context: see PriorityOf. Default none is read: calls are normal,
// or what an outer interceptor found.
func Priority(p Priorities) ServerOption {
	p.Caps = slices.Clone(p.Caps)
	return serverOnly(func(s *settings) {
		name := strings.ToLower(p.Header)
		reserved := strings.HasPrefix(name, "grpc-") || strings.HasSuffix(name, "-bin")
		s.fault(!reserved, "Priorities.Header", fmt.Sprintf("%q", p.Header), "is gRPC's own, or binary")
		s.priority = p
	})
}

// NeedTime refuses calls whose deadline is nearer than d: there is no point in beginning what
// nobody will wait for. They get DeadlineExceeded. Default 0: only those whose deadline has
// passed are refused. Calls without a deadline are none of its business.
func NeedTime(d time.Duration) ServerOption {
	return serverOnly(func(s *settings) {
		s.fault(d >= 0, "NeedTime", d, "must not be negative")
		s.need = d
	})
}

// Recover makes an error of a handler's panic, which the client gets: Internal, say. The panic
// is a failure to the guard all the same. f runs on the call's goroutine, while it still has
// the stack of the panic; nil answers Internal and says no more. It holds for methods that are
// excluded, too. Default panics go on.
func Recover(f func(ctx context.Context, c Call, panicked any) error) ServerOption {
	return serverOnly(func(s *settings) {
		if s.recover = f; f == nil {
			s.recover = internal
		}
	})
}

// Domain is what the ErrorInfo of a refusal names as where its reason is from. Default
// "bulwark".
func Domain(name string) ServerOption {
	return serverOnly(func(s *settings) {
		s.fault(name != "", "Domain", `""`, "is empty")
		s.domain = name
	})
}

// SendPriority is the name that a call's priority is sent by, if its context has one: see
// WithPriority. "" sends none. What the call's metadata has already stays. Default
// DefaultPriorityKey.
func SendPriority(name string) ClientOption {
	return clientOnly(func(s *settings) { s.send = strings.ToLower(name) })
}
