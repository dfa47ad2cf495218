package keys

import (
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

func TestALongKeyIsHashed(t *testing.T) {
	short, long := strings.Repeat("a", MaxKey), strings.Repeat("a", MaxKey+1)
	if got := Bound(short); got != short {
		t.Errorf("got %q", got)
	}
	hashed := Bound(long)
	if len(hashed) > MaxKey || hashed == Bound(long+"a") || hashed != Bound(long) {
		t.Errorf("got %q", hashed)
	}
	if Bound(hashed) == hashed {
		t.Error("somebody can send the hash in place of the key")
	}
}

func TestDifferentPartsMakeDifferentKeys(t *testing.T) {
	if Join() != "" || Join("", "") != "" || Join("a|b") != "a|b" {
		t.Error("nothing is something, or one part is another")
	}
	part := rapid.StringMatching(`[a\\|]{0,3}`)
	rapid.Check(t, func(t *rapid.T) {
		a := rapid.SliceOfN(part, 2, 3).Draw(t, "a")
		b := rapid.SliceOfN(part, len(a), len(a)).Draw(t, "b")
		if Join(a...) == Join(b...) && !slices.Equal(a, b) {
			t.Errorf("%q and %q are %q", a, b, Join(a...))
		}
	})
}
