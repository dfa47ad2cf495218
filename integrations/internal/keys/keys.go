// Package keys makes keys of guards from what remote clients sent: as short as they must be,
// and such that nobody can make one that is taken for another.
package keys

import (
	"crypto/sha256"
	"encoding/hex"
	"strings"
)

// MaxKey is how many bytes a key has at most.
const MaxKey = 128

// digest is what a key begins with that stands for a longer one. No shorter one does, since
// Bound takes care of those too.
const digest = "sha256:"

// Bound returns key if it is short enough, and else a hash of it, which nobody can make from
// another key.
func Bound(key string) string {
	if len(key) <= MaxKey && !strings.HasPrefix(key, digest) {
		return key
	}
	sum := sha256.Sum256([]byte(key))
	return digest + hex.EncodeToString(sum[:])
}

// Join makes one key of several. Different parts make different keys. None makes "", and so
// do parts that are all empty.
func Join(parts ...string) string {
	empty := true
	for _, p := range parts {
		empty = empty && p == ""
	}
	switch {
	case empty:
		return ""
	case len(parts) == 1:
		return parts[0]
	}
	var b strings.Builder
	for i, p := range parts {
		if i > 0 {
			b.WriteByte('|')
		}
		for j := range len(p) {
			if p[j] == '|' || p[j] == '\\' {
				b.WriteByte('\\')
			}
			b.WriteByte(p[j])
		}
	}
	return b.String()
}
