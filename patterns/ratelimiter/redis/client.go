package redislimiter

import (
	"fmt"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"
)

// habits are what of a client's options a limiter's Timeout and OnOutage depend on.
type habits struct {
	known        bool
	heedsContext bool
	read, write  time.Duration
	retries      int
	dials        int
}

// unfit says what of a client's options makes it wait, or try again, where the limiter's
// policy could decide; "" if nothing is known to.
func unfit(client redis.UniversalClient, timeout time.Duration) string {
	h := habitsOf(client)
	if !h.known {
		return ""
	}
	var problems []string
	find := func(ok bool, format string, args ...any) {
		if !ok {
			problems = append(problems, fmt.Sprintf(format, args...))
		}
	}
	find(h.heedsContext || h.read > 0 && h.read <= timeout,
		"ContextTimeoutEnabled is off and ReadTimeout is %v: a call is given up after %v, and goes on for so long", h.read, timeout)
	find(h.retries <= 0, "MaxRetries is %d: set it to -1", h.retries)
	find(h.dials <= 1, "DialerRetries is %d: set it to 1", h.dials)
	return strings.Join(problems, "; ")
}

// punctual reports whether a call, and one more for its script, is sure to end by timeout,
// which its context has, too.
func (h habits) punctual(timeout time.Duration) bool {
	return h.heedsContext || h.read > 0 && h.write > 0 && 4*(h.read+h.write) <= timeout
}

func habitsOf(client redis.UniversalClient) habits {
	switch c := client.(type) {
	case *redis.Client:
		o := c.Options()
		return habits{true, o.ContextTimeoutEnabled, o.ReadTimeout, o.WriteTimeout, o.MaxRetries, o.DialerRetries}
	case *redis.ClusterClient: // whose MaxRedirects are another matter
		o := c.Options()
		return habits{true, o.ContextTimeoutEnabled, o.ReadTimeout, o.WriteTimeout, o.MaxRetries, o.DialerRetries}
	case *redis.Ring:
		o := c.Options()
		return habits{true, o.ContextTimeoutEnabled, o.ReadTimeout, o.WriteTimeout, o.MaxRetries, o.DialerRetries}
	}
	return habits{}
}
