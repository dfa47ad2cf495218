package conformance

import (
	"slices"
	"testing"
)

// Run runs every check on f.
func Run(t *testing.T, f Framework) {
	t.Helper()
	for _, one := range slices.Concat(outcomes, refusals, exclusions, identities, bodies, policies, loads) {
		t.Run(one.name, func(t *testing.T) { one.run(newCheck(t, f)) })
	}
}

// named is a check. Its name is a sentence.
type named struct {
	name string
	run  func(c *check)
}
