package redislimiter_test

import (
	"errors"
	"os"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/bulwark-go/bulwark/internal/redistest"
	"github.com/bulwark-go/bulwark/patterns/ratelimiter"
	redislimiter "github.com/bulwark-go/bulwark/patterns/ratelimiter/redis"
)

// What the documentation has an operator allow the limiter is enough for it.
func TestTheDocumentedPermissionsAreEnough(t *testing.T) {
	page, err := os.ReadFile("../../../docs/patterns/redis-ratelimiter.md")
	must(t, err)
	line := regexp.MustCompile(`(?m)^ACL SETUSER limiter on >password .*$`).FindString(string(page))
	if line == "" {
		t.Fatal("the page has no such line")
	}
	server := redistest.Start(t)
	var command []any
	for word := range strings.FieldsSeq(line) {
		command = append(command, word)
	}
	must(t, redistest.Client(t, server.URL()).Do(t.Context(), command...).Err())
	url := strings.Replace(server.URL(), "://", "://limiter:password@", 1)
	for _, algorithm := range []ratelimiter.Algorithm{ratelimiter.TokenBucket, ratelimiter.SlidingLog} {
		l, _ := spawn(t, redislimiter.Config{
			Rate: ratelimiter.MustParse("3/hour"), URL: url, Algorithm: algorithm, Timeout: unhurried, OnOutage: redislimiter.FailClosed,
		})
		p, err := l.For("ann").Acquire(t.Context())
		must(t, err)
		p.Release()
		taken, err := l.TakeUpTo(t.Context(), "ann", 2)
		must(t, err)
		if answer, err := l.Peek(t.Context(), "ann"); err != nil || taken.N != 2 || answer.Remaining > 1 {
			t.Errorf("%v: took %d, then %+v, %v", algorithm, taken.N, answer, err)
		}
		must(t, l.Override(t.Context(), "bob", ratelimiter.MustParse("1000/1ms")))
		for range 300 { // a log is trimmed now and then
			must(t, l.Wait(t.Context(), "bob"))
		}
		var all sync.WaitGroup
		for i := range 40 { // several keys in one call
			all.Go(func() {
				if err := l.Wait(t.Context(), strconv.Itoa(i)); err != nil {
					t.Error(err)
				}
			})
		}
		all.Wait()
		if algorithm == ratelimiter.TokenBucket {
			must(t, l.Forget(t.Context(), "ann"))
		}
		if s, ok := l.Snapshot(t.Context()); !ok || s.Misfits > 0 || s.Failed > 0 {
			t.Errorf("%v: %+v", algorithm, s)
		}
	}
}

// A user who may call the script, and not all that is in it, is a mistake that no policy lets pass.
func TestPermissionsForLessThanTheScriptAreNoOutage(t *testing.T) {
	server := redistest.Start(t)
	admin := redistest.Client(t, server.URL())
	url := strings.Replace(server.URL(), "://", "://limiter:password@", 1)
	for _, missing := range [][]any{{"-time"}, {"-set", "-zadd"}} {
		must(t, admin.Do(t.Context(), append([]any{"ACL", "SETUSER", "limiter", "on", ">password", "~*", "+@all"}, missing...)...).Err())
		for _, algorithm := range []ratelimiter.Algorithm{ratelimiter.TokenBucket, ratelimiter.SlidingLog} {
			l, _ := spawn(t, redislimiter.Config{
				Rate: ratelimiter.MustParse("3/hour"), URL: url, Algorithm: algorithm, Timeout: unhurried, OnOutage: redislimiter.FailOpen, Failures: 1,
			})
			if err := l.Wait(t.Context(), "ann"); !errors.Is(err, redislimiter.ErrStore) {
				t.Errorf("%v, %v: got %v", algorithm, missing, err)
			}
		}
	}
}
