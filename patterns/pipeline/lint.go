package pipeline

import (
	"fmt"

	"github.com/bulwark-go/bulwark/patterns"
)

// Warning says that two guards of a pipeline stand in an order that defeats one of them.
type Warning struct {
	Outer, Inner string // names
	Rule         string // which is stable, such as "retry-outside-fallback"
	Why          string
}

func (w Warning) String() string { return fmt.Sprintf("%s outside %s: %s", w.Outer, w.Inner, w.Why) }

// rule is an order that defeats itself, of patterns as guards name theirs with Pattern.
type rule struct{ outer, inner, why string }

func (r *rule) name() string { return r.outer + "-outside-" + r.inner }

var rules = [...]rule{
	{"retry", "fallback", "the fallback succeeds, so nothing is ever retried"},
	{"circuitbreaker", "fallback", "the fallback succeeds, so the breaker never opens"},
	{"hedge", "fallback", "the fallback of the first attempt that fails wins"},
	{"retry", "retry", "attempts multiply"},
	{"hedge", "retry", "every attempt of the hedge retries on its own, and attempts multiply"},
	{"retry", "hedge", "every attempt of the retry is hedged, and attempts multiply"},
	{"hedge", "hedge", "attempts multiply"},
	{"bulkhead", "hedge", "one place is taken where several attempts run"},
	{"adaptive", "hedge", "the limit counts one where several attempts run, and learns from the fastest"},
	{"outlier", "retry", "every attempt goes to the same member"},
	{"outlier", "hedge", "every attempt goes to the same member"},
	{"timeout", "retry", "all attempts together get the time of one; right only if it is meant so"},
	{"timeout", "fallback", "where the time is over the fallback is cut off too"},
	{"bulkhead", "retry", "a place is held while the retry waits between attempts"},
	{"adaptive", "retry", "the limit learns from the waits between attempts"},
}

// Lint returns what is wrong with the order of the guards, of nested pipelines too. A
// warning is not an error: a timeout outside a retry is right where it is meant for all
// attempts together.
func Lint(p *Pipeline) []Warning {
	var found []Warning
	flat := flatten(p.guards)
	for i, outer := range flat {
		for _, inner := range flat[i+1:] {
			for _, r := range rules {
				if patternOf(outer) == r.outer && patternOf(inner) == r.inner {
					found = append(found, Warning{outer.Name(), inner.Name(), r.name(), r.why})
				}
			}
		}
	}
	return found
}

func flatten(guards []patterns.Guard) (flat []patterns.Guard) {
	for _, g := range guards {
		if p, ok := g.(*Pipeline); ok {
			flat = append(flat, flatten(p.guards)...)
		} else {
			flat = append(flat, g)
		}
	}
	return flat
}

func patternOf(g patterns.Guard) string {
	if k, ok := g.(interface{ Pattern() string }); ok {
		return k.Pattern()
	}
	return ""
}
