package nethttp

import (
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/bulwark-go/bulwark/integrations/internal/precedence"
	"github.com/bulwark-go/bulwark/patterns"
)

// TransportOption is something about a Transport that is not the default.
type TransportOption func(*transportSettings)

// transportSettings are what the options say.
type transportSettings struct {
	idempotent func(*http.Request) bool
	buffer     int64
	statuses   statuses
	hold       func(patterns.Guard) bool
	keys       []KeyFunc
	weight     func(*http.Request) int
	send       string
	servers    servers
	drainFor   time.Duration // how long what nobody wants is read, so that its connection can be used again
	faults     []error
}

func (s *transportSettings) fault(ok bool, field string, value any, problem string) {
	if !ok {
		s.faults = append(s.faults, &patterns.ConfigError{Pattern: pattern, Field: field, Value: value, Problem: problem})
	}
}

// Idempotent says which requests may be made again, as a retry and a hedge do: those of which
// two do no more than one. Default those of the methods GET, HEAD, OPTIONS, TRACE, PUT and
// DELETE, and those with an Idempotency-Key or X-Idempotency-Key header. f runs on the
// request's goroutine.
func Idempotent(f func(*http.Request) bool) TransportOption {
	return func(s *transportSettings) {
		s.fault(f != nil, "Idempotent", "nil", "is nil")
		s.idempotent = f
	}
}

// BufferBody keeps bodies of up to so many bytes, to 16 MiB, so that a request can be made
// again whose body has no GetBody. They are read before a guard is asked. Default 0: such a
// request is made once.
func BufferBody(bytes int) TransportOption {
	return func(s *transportSettings) {
		s.fault(bytes >= 0 && bytes <= maxBuffer, "BufferBody", bytes, fmt.Sprintf("must be from 0 to %d", maxBuffer))
		s.buffer = int64(bytes)
	}
}

const maxBuffer = 16 << 20

// Statuses says what some statuses mean to guards: Success, Failure, or Dropped, which is a
// failure that a concurrency limit is cut for. Default 429, 503 and 504 are Dropped, others
// of 500 and more Failure, and the rest Success.
func Statuses(by map[int]patterns.Outcome) TransportOption {
	by = maps.Clone(by)
	return func(s *transportSettings) {
		for _, status := range slices.Sorted(maps.Keys(by)) {
			o := by[status]
			s.fault(status >= 200 && status <= 999, "Statuses", status, "must be from 200 to 999")
			s.fault(o <= patterns.Dropped, fmt.Sprintf("Statuses[%d]", status), o, "must be a success, a failure or dropped")
		}
		s.statuses = by
	}
}

// HoldBody says whose permits are held until a response's body was read to its end, or
// closed, or the request's context has ended. Those of others end with its header. Default
// those of bulkheads, load shedders and valves; nil is nobody's.
func HoldBody(f func(g patterns.Guard) bool) TransportOption {
	if f == nil {
		f = func(patterns.Guard) bool { return false }
	}
	return func(s *transportSettings) { s.hold = f }
}

// CountBy counts requests by key, for guards that do: limiters, bulkheads with partitions.
// Several make one of all of them. A key of more than 128 bytes is hashed. Default none.
func CountBy(by ...KeyFunc) TransportOption {
	by = slices.Clone(by)
	return func(s *transportSettings) {
		for _, f := range by {
			s.fault(f != nil, "CountBy", "nil", "is nil")
		}
		s.keys = append(s.keys, by...)
	}
}

// WeighBy says how much work a request is. Default 1.
func WeighBy(f func(*http.Request) int) TransportOption {
	return func(s *transportSettings) {
		s.fault(f != nil, "WeighBy", "nil", "is nil")
		s.weight = f
	}
}

// SendPriority sends the priority that a request's context has (see PriorityOf and
// WithPriority) in a header of that name, and only to hosts: each a host ("shop.internal", at
// any port), a host and a port, or all below a domain ("*.internal"). A request that has the
// header already keeps it. Default none is sent.
func SendPriority(header string, hosts ...string) TransportOption {
	hosts = slices.Clone(hosts)
	return func(s *transportSettings) {
		s.fault(header != "" && precedence.IsToken(header), "SendPriority", fmt.Sprintf("%q", header), "is no name of a header")
		s.fault(len(hosts) > 0, "SendPriority", "[]", "needs the hosts that it is for")
		for _, h := range hosts {
			s.fault(h != "" && h != "*." && !strings.Contains(h, "/"), "SendPriority", fmt.Sprintf("%q", h), "is no host")
		}
		s.send, s.servers = http.CanonicalHeaderKey(header), newServers(hosts)
	}
}
