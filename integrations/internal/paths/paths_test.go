package paths

import (
	"net/url"
	"strings"
	"testing"
)

func TestAPathIsExcludedIfItIsWhatItLooksLike(t *testing.T) {
	s, err := New([]string{"/health", "/static/...", "/api/*/health", "/x[0-9]"})
	if err != nil {
		t.Fatal(err)
	}
	for target, want := range map[string]bool{
		"/health":                     true,
		"/health?verbose=1":           true,
		"/health/":                    false,
		"/healthz":                    false,
		"/Health":                     false,
		"/hea%6Cth":                   false, // nobody needs to write it so
		"/static":                     true,
		"/static/":                    true,
		"/static/css/a.css":           true,
		"/statics":                    false,
		"/static/../pay":              false,
		"/static/%2e%2e/pay":          false,
		"/static/./x":                 false,
		"/static//pay":                false,
		"/static%2fpay":               false,
		"/static/a%2Fb":               false,
		"/api/v1/health":              true,
		"/api/v1/v2/health":           false,
		"/api//health":                false,
		"/api/../health":              false,
		"/api/%2e%2e/health":          false,
		"/x7":                         true,
		"/x77":                        false,
		"/":                           false,
		"":                            false,
		"*":                           false,
		"/health%00":                  false,
		"/health;jsessionid=1":        false,
		"http://host/health":          true,
		"http://health/pay?x=/health": false,
	} {
		u, err := url.Parse(target)
		if err != nil {
			t.Fatal(err)
		}
		if got := s.Has(u.Path, u.RawPath); got != want {
			t.Errorf("%q (%q, %q): got %v", target, u.Path, u.RawPath, got)
		}
	}
}

func TestTheDefaultsAreWhatProbesAskFor(t *testing.T) {
	s, err := New(Defaults())
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range []string{"/health", "/healthz", "/ready", "/metrics"} {
		if !s.Has(p, "") {
			t.Errorf("%s is guarded", p)
		}
	}
	empty, err := New(nil)
	if err != nil || empty.Has("/health", "") {
		t.Errorf("an empty list has something in it, or is an error: %v", err)
	}
}

func TestEveryEntryThatIsNoneIsNamed(t *testing.T) {
	bad := []string{"health", "", "/...", "/a/../b", "/[", "//a", "/a*/...", "/a...", "/a/.../b"}
	_, err := New(append(bad, "/", "/a/", "/ok/...", "/*"))
	if err == nil {
		t.Fatal("no error")
	}
	if got := strings.Split(err.Error(), "\n"); len(got) != len(bad) {
		t.Errorf("%d faults, want %d:\n%v", len(got), len(bad), err)
	}
}

func FuzzNoPathGetsAroundAGuardByLookingLikeAnother(f *testing.F) {
	for _, s := range []string{"/static/a", "/static/../pay", "/static%2fpay", "/static/%2e%2e/pay"} {
		f.Add(s)
	}
	s, err := New([]string{"/static/...", "/api/*/health"})
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, target string) {
		u, err := url.Parse(target)
		if err != nil || !s.Has(u.Path, u.RawPath) {
			return
		}
		for _, element := range strings.Split(u.EscapedPath(), "/")[1:] {
			if plain, err := url.PathUnescape(element); err != nil || plain == ".." || plain == "." || strings.Contains(plain, "/") {
				t.Errorf("%q is excluded", target)
			}
		}
	})
}
