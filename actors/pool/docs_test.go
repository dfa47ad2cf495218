package pool_test

import (
	"fmt"
	"os"
	"reflect"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/bulwark-go/bulwark/actors/middleware"
	"github.com/bulwark-go/bulwark/actors/pool"
)

// The page is about middleware and pools.
func TestDocumentedOptionsAreTheRealOnes(t *testing.T) {
	text, err := os.ReadFile("../../docs/middleware.md")
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]string{
		"ReceiveConfig.Refused": "`Answer`", "ReceiveConfig.Stash": grouped(middleware.DefaultStash),
		"ReceiveConfig.TTL": brief(middleware.DefaultTTL), "ReceiveConfig.Recheck": brief(middleware.DefaultRecheck),
		"RequestConfig.Timeout": brief(middleware.DefaultTimeout), "RequestConfig.Wait": "0: it does not wait",
		"RequestConfig.Pending": grouped(middleware.DefaultPending),
		"Config.Size":           fmt.Sprint(pool.DefaultSize), "Config.Breaker": "its defaults", "Config.Timeout": brief(pool.DefaultTimeout),
		"Config.Pending": grouped(pool.DefaultPending), "Config.NoRetry": "off", "Config.Supervision": "10 restarts in 10 s",
		"Config.Respawn": brief(pool.DefaultRespawn),
	}
	for _, config := range []struct {
		prefix string
		of     any
	}{{"ReceiveConfig.", middleware.ReceiveConfig{}}, {"RequestConfig.", middleware.RequestConfig{}}, {"Config.", pool.Config{}}} {
		typ := reflect.TypeOf(config.of)
		for i := range typ.NumField() {
			if _, ok := want[config.prefix+typ.Field(i).Name]; !ok {
				t.Errorf("%s%s is missing here", config.prefix, typ.Field(i).Name)
			}
		}
	}
	row := regexp.MustCompile("(?m)^\\| `([A-Za-z]*Config\\.[A-Za-z]+)` \\| (.+) \\| (.+) \\|$")
	for _, m := range row.FindAllStringSubmatch(string(text), -1) {
		if want[m[1]] != m[3] {
			t.Errorf("%s is %q by default, and not %q", m[1], want[m[1]], m[3])
		}
		delete(want, m[1])
	}
	for field := range want {
		t.Errorf("%s is not documented", field)
	}
	for _, number := range []string{
		"1 to " + grouped(pool.MaxSize), "1 to " + grouped(pool.MaxPending), "1 to " + grouped(middleware.MaxStash), "1 to " + grouped(middleware.MaxPending),
		"up to " + brief(middleware.MaxTTL), "up to " + brief(pool.MaxTimeout), "at least " + brief(middleware.MinRecheck), "at least " + brief(pool.MinRespawn),
	} {
		if !strings.Contains(string(text), number) {
			t.Errorf("it does not say %q", number)
		}
	}
}

// brief is d as the page has it: one number, a space and a unit.
func brief(d time.Duration) string {
	for _, unit := range []struct {
		of   time.Duration
		name string
	}{{time.Hour, "h"}, {time.Second, "s"}, {time.Millisecond, "ms"}} {
		if d%unit.of == 0 {
			return fmt.Sprint(int64(d/unit.of), " ", unit.name)
		}
	}
	return d.String()
}

func grouped(n int) string {
	switch {
	case n < 1000:
		return fmt.Sprint(n)
	case n < 1_000_000:
		return fmt.Sprintf("%d,%03d", n/1000, n%1000)
	}
	return fmt.Sprintf("%d,%03d,%03d", n/1_000_000, n/1000%1000, n%1000)
}
