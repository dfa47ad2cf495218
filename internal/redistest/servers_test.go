package redistest

import (
	"net"
	"strings"
	"testing"
	"time"
)

// What BULWARK_REDIS_URL says is looked at once, before any test waits for it.
func TestAServerThatIsOfNoUseIsFoundOutAtOnce(t *testing.T) {
	locked, hangs, gone := Start(t, "--requirepass", "secret"), Start(t), Start(t)
	for _, err := range []error{hangs.Pause(), gone.Kill()} {
		if err != nil {
			t.Fatal(err)
		}
	}
	silent, err := net.Listen("tcp", "127.0.0.1:0") // which nobody accepts from
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = silent.Close() })
	for _, tt := range []struct{ name, url, want string }{
		{"one that answers", Start(t).URL(), ""},
		{"one with a password", "redis://:secret@" + locked.Addr(), ""},
		{"one with another password", "redis://:guess@" + locked.Addr(), "WRONGPASS"},
		{"one without the password", locked.URL(), "NOAUTH"},
		{"one that is gone", gone.URL(), "refused"},
		{"one that hangs", hangs.URL(), "timeout"},
		{"something that is silent", "redis://" + silent.Addr().String(), "timeout"},
		{"no URL", "127.0.0.1:6379", "it is no URL of a Redis"},
		{"another URL", "http://127.0.0.1:6379", "it is no URL of a Redis"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			began := time.Now()
			err := answers(tt.url)
			if tt.want == "" && err != nil || tt.want != "" && (err == nil || !strings.Contains(err.Error(), tt.want)) {
				t.Errorf("want %q, got %v", tt.want, err)
			}
			if err != nil && strings.Contains(err.Error(), "guess") {
				t.Errorf("it has the password: %v", err)
			}
			if took := time.Since(began); took > 3*patience {
				t.Errorf("it took %v", took)
			}
		})
	}
}
