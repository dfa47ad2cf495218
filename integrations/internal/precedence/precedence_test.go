package precedence

import (
	"context"
	"net/netip"
	"strings"
	"testing"

	"github.com/bulwark-go/bulwark/patterns"
)

func TestNobodyIsMoreImportantThanItMayBe(t *testing.T) {
	r, err := New(Config{
		Header: "X-Priority", Default: patterns.Low, Most: patterns.Normal,
		Caps: []Cap{
			{From: []string{"10.1.0.0/16", "2001:db8::/32"}, Most: patterns.Critical},
			{From: []string{"10.0.0.0/8"}, Most: patterns.High},
			{From: []string{"203.0.113.66"}, Most: patterns.Background},
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name, claim, client string
		want                patterns.Priority
	}{
		{"a stranger who claims much", "critical", "203.0.113.9", patterns.Normal},
		{"a stranger who claims little", "background", "203.0.113.9", patterns.Background},
		{"a stranger who claims nothing", "", "203.0.113.9", patterns.Low},
		{"a stranger who claims nonsense", "Critical\r\nX: y", "203.0.113.9", patterns.Low},
		{"a number is nonsense", "2", "10.1.0.1", patterns.Low},
		{"a friend", "CRITICAL", "10.1.0.1", patterns.Critical},
		{"a friend with IPv6", "critical", "2001:db8::1", patterns.Critical},
		{"the first cap holds", "critical", "10.2.0.1", patterns.High},
		{"an enemy", "high", "203.0.113.66", patterns.Background},
	} {
		if got := r.Of(c.claim, netip.MustParseAddr(c.client)); got != c.want {
			t.Errorf("%s: got %v, want %v", c.name, got, c.want)
		}
	}
	if got := r.Of("critical", netip.Addr{}); got != patterns.Normal {
		t.Errorf("a client without an address: got %v", got)
	}
}

func TestWithoutAConfigNobodyIsMoreImportant(t *testing.T) {
	r, err := New(Config{})
	if err != nil {
		t.Fatal(err)
	}
	if r.Header() != "" || r.Capped() {
		t.Error("a header is read")
	}
	if got := r.Of("critical", netip.MustParseAddr("127.0.0.1")); got != patterns.Normal {
		t.Errorf("got %v", got)
	}
}

func TestEveryFaultOfAConfigIsNamed(t *testing.T) {
	_, err := New(Config{Header: "X Priority", Default: 9, Most: -9, Caps: []Cap{{Most: 7}, {From: []string{"x"}}}})
	if err == nil {
		t.Fatal("no error")
	}
	for _, want := range []string{`Config.Header "X Priority"`, "Config.Default", "Config.Most", "Config.Caps[0].Most", "Config.Caps[0].From", `Config.Caps[1].From "x"`} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("%q is not in\n%v", want, err)
		}
	}
	if _, err := New(Config{Most: patterns.High}); err == nil || !strings.Contains(err.Error(), "need it") {
		t.Errorf("a cap without a header: %v", err)
	}
}

func TestAPriorityTravelsInAContext(t *testing.T) {
	if _, ok := From(context.Background()); ok {
		t.Error("there is one")
	}
	ctx, cancel := context.WithCancel(With(context.Background(), patterns.High))
	defer cancel()
	if p, ok := From(ctx); !ok || p != patterns.High {
		t.Errorf("got %v, %v", p, ok)
	}
}
