package clientip

import (
	"errors"
	"fmt"
	"net/http"
	"net/netip"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/bulwark-go/bulwark/patterns"
)

func TestTheClientIsTheLastHopThatIsNotATrustedProxy(t *testing.T) {
	const nobody = "invalid IP"
	none := Config{}
	proxies := Config{Trusted: []string{"10.0.0.0/8", "2001:db8:aaaa::/48", "192.0.2.7"}}
	rfc := Config{Trusted: proxies.Trusted, Header: Forwarded}
	realIP := Config{Trusted: proxies.Trusted, Header: RealIP}
	unix := Config{Trusted: []string{Unix}}
	for _, c := range []struct {
		name   string
		cfg    Config
		peer   string
		header http.Header
		want   string
	}{
		{"no proxy is trusted", none, "203.0.113.9:1234", http.Header{"X-Forwarded-For": {"1.1.1.1"}}, "203.0.113.9"},
		{"nor in any other header", none, "203.0.113.9:1234", http.Header{"Forwarded": {"for=1.1.1.1"}, "X-Real-Ip": {"1.1.1.1"}}, "203.0.113.9"},
		{"the peer is not the trusted one", proxies, "203.0.113.9:1234", http.Header{"X-Forwarded-For": {"1.1.1.1"}}, "203.0.113.9"},
		{"the peer is", proxies, "10.1.2.3:1234", http.Header{"X-Forwarded-For": {"1.1.1.1"}}, "1.1.1.1"},
		{"a single address is trusted", proxies, "192.0.2.7:1", http.Header{"X-Forwarded-For": {"1.1.1.1"}}, "1.1.1.1"},
		{"its neighbour is not", proxies, "192.0.2.8:1", http.Header{"X-Forwarded-For": {"1.1.1.1"}}, "192.0.2.8"},
		{"the client made up what comes first", proxies, "10.1.2.3:1234", http.Header{"X-Forwarded-For": {"9.9.9.9, 8.8.8.8, 1.1.1.1"}}, "1.1.1.1"},
		{"a trusted address that the client made up", proxies, "10.1.2.3:1234", http.Header{"X-Forwarded-For": {"9.9.9.9, 10.0.0.1, 1.1.1.1"}}, "1.1.1.1"},
		{"several trusted hops", proxies, "10.1.2.3:1234", http.Header{"X-Forwarded-For": {"9.9.9.9, 1.1.1.1, 10.0.0.5,192.0.2.7"}}, "1.1.1.1"},
		{"several headers are one list", proxies, "10.1.2.3:1234", http.Header{"X-Forwarded-For": {"9.9.9.9", "1.1.1.1", "10.0.0.5"}}, "1.1.1.1"},
		{"everybody is trusted", proxies, "10.1.2.3:1234", http.Header{"X-Forwarded-For": {"10.0.0.4, 10.0.0.5"}}, "10.0.0.4"},
		{"the header is missing", proxies, "10.1.2.3:1234", nil, "10.1.2.3"},
		{"the header is empty", proxies, "10.1.2.3:1234", http.Header{"X-Forwarded-For": {""}}, "10.1.2.3"},
		{"the next hop is no address", proxies, "10.1.2.3:1234", http.Header{"X-Forwarded-For": {"1.1.1.1, unknown"}}, nobody},
		{"a hop before that is none", proxies, "10.1.2.3:1234", http.Header{"X-Forwarded-For": {"1.1.1.1, <script>, 10.0.0.5"}}, nobody},
		{"with ports", proxies, "10.1.2.3:1234", http.Header{"X-Forwarded-For": {"[2001:db8::1]:443, 1.1.1.1:99"}}, "1.1.1.1"},
		{"IPv6 with a port", proxies, "10.1.2.3:1234", http.Header{"X-Forwarded-For": {"[2001:db8::1]:443"}}, "2001:db8::1"},
		{"IPv6 in brackets", proxies, "10.1.2.3:1234", http.Header{"X-Forwarded-For": {"[2001:db8::1]"}}, "2001:db8::1"},
		{"IPv4 has none", proxies, "10.1.2.3:1234", http.Header{"X-Forwarded-For": {"[1.1.1.1]"}}, nobody},
		{"an IPv6 proxy", proxies, "[2001:db8:aaaa::1]:1234", http.Header{"X-Forwarded-For": {"2001:db8::1"}}, "2001:db8::1"},
		{"an IPv4 proxy in IPv6 form", proxies, "[::ffff:10.1.2.3]:1234", http.Header{"X-Forwarded-For": {"::ffff:1.1.1.1"}}, "1.1.1.1"},
		{"a zone", none, "[fe80::1%eth0]:1234", nil, "fe80::1"},
		{"another header than the proxies'", proxies, "10.1.2.3:1234", http.Header{"X-Real-Ip": {"1.1.1.1"}, "Forwarded": {"for=1.1.1.1"}}, "10.1.2.3"},
		{"the real IP", realIP, "10.1.2.3:1234", http.Header{"X-Real-Ip": {"1.1.1.1"}}, "1.1.1.1"},
		{"two real IPs", realIP, "10.1.2.3:1234", http.Header{"X-Real-Ip": {"1.1.1.1", "2.2.2.2"}}, nobody},
		{"no real IP", realIP, "10.1.2.3:1234", nil, "10.1.2.3"},
		{"a list of real IPs", realIP, "10.1.2.3:1234", http.Header{"X-Real-Ip": {"1.1.1.1, 2.2.2.2"}}, nobody},
		{"forwarded", rfc, "10.1.2.3:1234", http.Header{"Forwarded": {`for=9.9.9.9, for=1.1.1.1;proto=https;by=10.0.0.1`}}, "1.1.1.1"},
		{"forwarded IPv6", rfc, "10.1.2.3:1234", http.Header{"Forwarded": {`proto=http ; For="[2001:db8::1]:4711"`}}, "2001:db8::1"},
		{"forwarded through several", rfc, "10.1.2.3:1234", http.Header{"Forwarded": {"for=9.9.9.9", "for=1.1.1.1, for=10.0.0.9"}}, "1.1.1.1"},
		{"an obfuscated hop", rfc, "10.1.2.3:1234", http.Header{"Forwarded": {"for=1.1.1.1, for=_hidden"}}, nobody},
		{"an unknown hop", rfc, "10.1.2.3:1234", http.Header{"Forwarded": {`for=1.1.1.1, for="unknown"`}}, nobody},
		{"a hop that does not say", rfc, "10.1.2.3:1234", http.Header{"Forwarded": {"for=1.1.1.1, proto=https"}}, nobody},
		{"one that says nothing", rfc, "10.1.2.3:1234", http.Header{"Forwarded": {`for=1.1.1.1, for=""`}}, nobody},
		{"empty elements are none", rfc, "10.1.2.3:1234", http.Header{"Forwarded": {"for=1.1.1.1, ,;,"}}, "1.1.1.1"},
		{"nor entries", proxies, "10.1.2.3:1234", http.Header{"X-Forwarded-For": {"9.9.9.9, 1.1.1.1,, \t,"}}, "1.1.1.1"},
		{"a port that has a name", rfc, "10.1.2.3:1234", http.Header{"Forwarded": {`for="1.1.1.1:_a.B-9"`}}, "1.1.1.1"},
		{"of IPv6", rfc, "10.1.2.3:1234", http.Header{"Forwarded": {`for="[2001:db8::1]:_x"`}}, "2001:db8::1"},
		{"that is none", rfc, "10.1.2.3:1234", http.Header{"Forwarded": {`for="1.1.1.1:_"`}}, nobody},
		{"or of two lines", rfc, "10.1.2.3:1234", http.Header{"Forwarded": {`for="1.1.1.1:_a:80"`}}, nobody},
		{"a port that is too large", proxies, "10.1.2.3:1234", http.Header{"X-Forwarded-For": {"1.1.1.1:65536"}}, nobody},
		{"an address with zeros in front", proxies, "10.1.2.3:1234", http.Header{"X-Forwarded-For": {"010.1.1.1"}}, nobody},
		{"an address with a mask", proxies, "10.1.2.3:1234", http.Header{"X-Forwarded-For": {"1.1.1.1/8"}}, nobody},
		{"an escaped quotation", rfc, "10.1.2.3:1234", http.Header{"Forwarded": {`for="\1.1\.1.1"`}}, "1.1.1.1"},
		{"a hop with a zone", proxies, "10.1.2.3:1234", http.Header{"X-Forwarded-For": {"fe80::1%eth0"}}, "fe80::1"},
		{"a quotation that the client opened", rfc, "10.1.2.3:1234", http.Header{"Forwarded": {`for="9.9.9.9, for=1.1.1.1`}}, nobody},
		{"in an earlier header", rfc, "10.1.2.3:1234", http.Header{"Forwarded": {`for="9.9.9.9`, "for=1.1.1.1"}}, nobody},
		{"and the proxy closed", rfc, "10.1.2.3:1234", http.Header{"Forwarded": {`for="x, for="[2001:db8::1]"`}}, nobody},
		{"two fors in an element", rfc, "10.1.2.3:1234", http.Header{"Forwarded": {`for=9.9.9.9;for=1.1.1.1`}}, nobody},
		{"an escape at the end", rfc, "10.1.2.3:1234", http.Header{"Forwarded": {`for="1.1.1.1\`}}, nobody},
		{"a peer without an address", unix, "@", http.Header{"X-Forwarded-For": {"1.1.1.1"}}, "1.1.1.1"},
		{"and nobody is trusted", none, "@", http.Header{"X-Forwarded-For": {"1.1.1.1"}}, nobody},
		{"and others are", proxies, "", http.Header{"X-Forwarded-For": {"1.1.1.1"}}, nobody},
	} {
		t.Run(c.name, func(t *testing.T) {
			r, err := New(c.cfg)
			if err != nil {
				t.Fatal(err)
			}
			if got := r.Of(c.peer, c.header).String(); got != c.want {
				t.Errorf("got %s, want %s", got, c.want)
			}
		})
	}
}

func TestAChainThatIsTooLongToBeTrueIsNotFollowed(t *testing.T) {
	r, err := New(Config{Trusted: []string{"10.0.0.0/8"}})
	if err != nil {
		t.Fatal(err)
	}
	h := http.Header{"X-Forwarded-For": {"1.1.1.1" + strings.Repeat(",10.0.0.1", 100_000) + ",10.0.0.2"}}
	if got := r.Of("10.0.0.3:1", h); got.IsValid() {
		t.Errorf("got %s", got)
	}
	long := strings.Repeat(",10.0.0.1", maxHops-1)
	h = http.Header{"X-Forwarded-For": {"9.9.9.9,1.1.1.1" + long}}
	if got := r.Of("10.0.0.3:1", h).String(); got != "1.1.1.1" {
		t.Errorf("a chain that is as long as may be: got %s", got)
	}
	h = http.Header{"X-Forwarded-For": {"9.9.9.9,1.1.1.1" + long + ","}}
	if got := r.Of("10.0.0.3:1", h); got.IsValid() {
		t.Errorf("one that is longer: got %s", got)
	}
}

func TestALongHeaderIsNotWorkForTheServer(t *testing.T) {
	for header, made := range map[Header]string{
		ForwardedFor: strings.Repeat(",10.0.0.1", 100_000), Forwarded: strings.Repeat(",;=", 300_000), RealIP: strings.Repeat("1", 1<<20),
	} {
		r, err := New(Config{Trusted: []string{"10.0.0.0/8"}, Header: header})
		if err != nil {
			t.Fatal(err)
		}
		h := http.Header{header.String(): {made}}
		if n := testing.AllocsPerRun(10, func() {
			if a := r.Of("10.0.0.1:1", h); a.IsValid() {
				t.Errorf("%v: got %v", header, a)
			}
		}); n > 5 {
			t.Errorf("%v: %v allocations", header, n)
		}
	}
	r, err := New(Config{Trusted: []string{"10.0.0.0/8"}, Header: Forwarded})
	if err != nil {
		t.Fatal(err)
	}
	most := strings.Repeat("a", maxForwarded-len("for=1.1.1.1;by="))
	for _, tt := range []struct{ by, want string }{{most, "1.1.1.1"}, {most + "a", "invalid IP"}} {
		if got := r.Of("10.0.0.1:1", http.Header{"Forwarded": {"for=1.1.1.1;by=" + tt.by}}).String(); got != tt.want {
			t.Errorf("%d bytes: got %s", len(tt.by), got)
		}
	}
}

func TestWhatAClientMakesUpChangesNothing(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		header := rapid.SampledFrom([]Header{ForwardedFor, Forwarded}).Draw(t, "header")
		r, err := New(Config{Trusted: []string{"10.0.0.0/8"}, Header: header})
		if err != nil {
			t.Fatal(err)
		}
		made := rapid.StringMatching(`[ -~]{0,40}|(for=)?[0-9.]{7,12}(, 10\.0\.0\.1)?`).Draw(t, "made up")
		added := "203.0.113.5"
		if header == Forwarded {
			added = "for=203.0.113.5"
		}
		peer := rapid.SampledFrom([]string{"10.0.0.1:80", "10.9.9.9"}).Draw(t, "peer")
		got := r.Of(peer, http.Header{header.String(): {made + ", " + added}}).String()
		// A header that is broken is not believed at all: then nobody knows.
		if got != "203.0.113.5" && (header != Forwarded || got != "invalid IP") {
			t.Errorf("%q made it %s", made, got)
		}
	})
}

func TestEveryFaultOfAConfigIsNamed(t *testing.T) {
	_, err := New(Config{Trusted: []string{"10.0.0.0/8", "10.0.0.1/8", "nonsense", "0.0.0.0/0", "::/0", "::ffff:10.0.0.0/104", "fe80::1%eth0", "10.0.0.0/99"}, Header: 9})
	var lines []string
	for _, e := range err.(interface{ Unwrap() []error }).Unwrap() {
		c, ok := errors.AsType[*patterns.ConfigError](e)
		if !ok {
			t.Fatalf("%T", e)
		}
		lines = append(lines, fmt.Sprintf("%s %v: %s", c.Field, c.Value, c.Problem))
	}
	want := []string{
		`Config.Trusted "10.0.0.1/8": has an address beyond its mask: is 10.0.0.0/8 meant?`,
		`Config.Trusted "nonsense": is neither an address nor a CIDR range, such as 10.0.0.0/8`,
		`Config.Trusted "0.0.0.0/0": has everybody in it, who could then claim to be anybody`,
		`Config.Trusted "::/0": has everybody in it, who could then claim to be anybody`,
		`Config.Trusted "::ffff:10.0.0.0/104": write it as the IPv4 range that it is`,
		`Config.Trusted "fe80::1%eth0": is neither an address nor a CIDR range, such as 10.0.0.0/8`,
		`Config.Trusted "10.0.0.0/99": is neither an address nor a CIDR range, such as 10.0.0.0/8`,
		`Config.Header header(9): must be ForwardedFor, Forwarded or RealIP`,
	}
	if got := strings.Join(lines, "\n"); got != strings.Join(want, "\n") {
		t.Errorf("got\n%s", got)
	}
	if _, err := New(Config{Header: RealIP}); err == nil {
		t.Error("a header that nobody is trusted to write was not refused")
	}
}

func TestAnIPv6ClientIsItsWholeNetwork(t *testing.T) {
	for text, want := range map[string]string{
		"1.2.3.4": "1.2.3.4", "2001:db8:1:2:3:4:5:6": "2001:db8:1:2::/64", "2001:db8:1:2::": "2001:db8:1:2::/64",
		"::ffff:1.2.3.4": "1.2.3.4",
	} {
		if got := Key(netip.MustParseAddr(text).Unmap()); got != want {
			t.Errorf("%s: got %s, want %s", text, got, want)
		}
	}
	if got := Key(netip.Addr{}); got != "" {
		t.Errorf("nobody: got %q", got)
	}
}

func FuzzForwarded(f *testing.F) {
	for _, s := range []string{
		"for=1.1.1.1", `for="[2001:db8::1]:80";by=x, for=_a`, `for="`, ",;=", `a=b;;for=c`, `for="1.1.1.1:_x"`, `for="\"`, `for="", for=unknown`,
		`for="x, for="[2001:db8::1]"`, strings.Repeat("for=10.0.0.1,", 40), "for=10.0.0.1%25eth0", "1.1.1.1, 10.0.0.1", "[::1]:_",
	} {
		f.Add(s)
	}
	by := make(map[Header]*Resolver)
	for h := range headers {
		r, err := New(Config{Trusted: []string{"10.0.0.0/8"}, Header: h})
		if err != nil {
			f.Fatal(err)
		}
		by[h] = r
	}
	f.Fuzz(func(t *testing.T, s string) {
		for h, r := range by {
			a := r.Of("10.0.0.1:1", http.Header{h.String(): {s}})
			if a.IsValid() && (a.Zone() != "" || a.Is4In6()) {
				t.Errorf("%v of %q: %v", h, s, a)
			}
			if h == RealIP {
				continue // nothing is added to it
			}
			// Whatever the client wrote, no more than what its proxy adds is believed.
			added := "203.0.113.5"
			if h == Forwarded {
				added = "for=203.0.113.5"
			}
			for _, values := range [][]string{{s, added}, {s + ", " + added}} {
				a = r.Of("10.0.0.1:1", http.Header{h.String(): values})
				if a.String() != "203.0.113.5" && (h != Forwarded || a.IsValid()) {
					t.Errorf("%v of %q: %v", h, values, a)
				}
			}
		}
	})
}
