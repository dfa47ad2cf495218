package paths

import (
	"errors"
	"fmt"
	"path"
	"strings"

	"github.com/bulwark-go/bulwark/patterns"
)

// Defaults are the paths that are excluded unless somebody says otherwise: whoever asks how
// the service is wants to know it when it is overloaded.
func Defaults() []string { return []string{"/health", "/healthz", "/ready", "/metrics"} }

// Set is a set of paths. It is safe for concurrent use.
type Set struct {
	exact    map[string]bool
	prefixes []string
	globs    []string
}

// below ends an entry that stands for a path and all that is below it.
const below = "/..."

// Faults returns every entry that is none, as a *patterns.ConfigError of a field of that name.
func Faults(pattern, field string, entries []string) (faults []error) {
	for _, e := range entries {
		if problem := problemOf(e); problem != "" {
			faults = append(faults, &patterns.ConfigError{Pattern: pattern, Field: field, Value: fmt.Sprintf("%q", e), Problem: problem})
		}
	}
	return faults
}

func problemOf(entry string) string {
	base := strings.TrimSuffix(entry, below)
	if _, err := path.Match(base, "/"); err != nil {
		return "is no pattern"
	}
	switch {
	case !strings.HasPrefix(entry, "/"):
		return "must begin with a slash"
	case base == "":
		return "has every path in it: leave the guard out instead"
	case !isClean(base) || strings.Contains(base, "..."):
		return "can match nothing: no path has //, /./, /../ or ... in it"
	case base != entry && isGlob(base):
		return "is a pattern and a prefix at once"
	}
	return ""
}

// New returns the Set of entries: a path as it is ("/health"), one with all that is below it
// ("/static/..."), or a pattern as of path.Match, whose * stands for one element or a part of
// it ("/api/*/health"). The error names every entry that is none of these.
func New(entries []string) (*Set, error) {
	if faults := Faults("paths", "Exclude", entries); len(faults) > 0 {
		return nil, errors.Join(faults...)
	}
	s := &Set{exact: make(map[string]bool)}
	for _, e := range entries {
		base, prefix := strings.CutSuffix(e, below)
		switch {
		case prefix:
			s.prefixes = append(s.prefixes, base)
		case isGlob(e):
			s.globs = append(s.globs, e)
		default:
			s.exact[e] = true
		}
	}
	return s, nil
}

func isGlob(s string) bool { return strings.ContainsAny(s, `*?[\`) }

// isClean reports whether a path is what it looks like. One that is not, such as
// /static/../pay, may mean one thing here and another to a router.
func isClean(p string) bool {
	if len(p) > 1 {
		p = strings.TrimSuffix(p, "/")
	}
	return path.Clean(p) == p
}

// Has reports whether a request's path is in s. raw is the path as it came, if that is
// another because of what was escaped in it, and else "": what is escaped is never in a
// prefix or a pattern, and so cannot get around a guard by looking like something else.
func (s *Set) Has(p, raw string) bool {
	if s.exact[p] {
		return raw == ""
	}
	if len(s.prefixes) == 0 && len(s.globs) == 0 || raw != "" || !isClean(p) {
		return false
	}
	for _, prefix := range s.prefixes {
		if strings.HasPrefix(p, prefix) && (len(p) == len(prefix) || p[len(prefix)] == '/') {
			return true
		}
	}
	for _, g := range s.globs {
		if ok, _ := path.Match(g, p); ok {
			return true
		}
	}
	return false
}
