package redislimiter_test

import (
	"crypto/rand"
	"errors"
	"io"
	"strings"
	"testing"

	"github.com/bulwark-go/bulwark/internal/redistest"
	"github.com/bulwark-go/bulwark/patterns/ratelimiter"
	redislimiter "github.com/bulwark-go/bulwark/patterns/ratelimiter/redis"
)

// A process trusts whom its system trusts, so one is started whose system trusts the server:
// other systems than this one are not told by a variable whom.
func TestAURLWithTLSAndAUserIsAllThatIsNeeded(t *testing.T) {
	cert, key := certify(t)
	s, prefix := redistest.StartTLS(t, cert, key), rand.Text()
	must(t, client(t, s.Addr()).Do(t.Context(), "ACL", "SETUSER", "limiter", "on", ">sesame", "~"+prefix+"*", "+@all").Err())
	_, port, _ := strings.Cut(s.TLSAddr(), ":")
	for _, tt := range []struct{ name, url, want string }{
		{"who is known passes", "rediss://limiter:sesame@" + s.TLSAddr() + "/0", "asked: <nil>"},
		{"and is counted", "rediss://limiter:sesame@" + s.TLSAddr() + "/0", `asked: rate limiter "shared" refuses (rate)`},
		{"who has a wrong password does not", "rediss://limiter:open@" + s.TLSAddr() + "/0", "WRONGPASS"},
		{"nor who comes by a name that the certificate has not", "rediss://limiter:sesame@localhost:" + port + "/0", "not trusted"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			one := instance{URL: tt.url, Prefix: prefix, Rate: ratelimiter.MustParse("1/h"), Policy: redislimiter.FailOpen}
			_, out, end := one.start(t, "SSL_CERT_FILE="+cert)
			said, err := io.ReadAll(out)
			if err := errors.Join(err, end()); err != nil || !strings.Contains(string(said), tt.want) {
				t.Errorf("want %q, got %q, %v", tt.want, said, err)
			}
		})
	}
}
