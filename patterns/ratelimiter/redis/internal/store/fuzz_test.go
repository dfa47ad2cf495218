package store

import (
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
)

// FuzzReplies has a server say anything: everybody is answered all the same, and nobody is
// given what he did not ask for.
func FuzzReplies(f *testing.F) {
	f.Add(false, "")
	f.Add(false, string(make([]byte, 8+33)))
	f.Add(true, string(make([]byte, 8+1+24+24)))
	f.Add(false, "\x00\x00\x00\x00\x00\x00\x00\x00\x03"+string(make([]byte, 150)))
	f.Add(true, "\x00\x00\x00\x00\x00\x00\x00\x00\x02\x03OOM")
	client := redis.NewClient(&redis.Options{Addr: "127.0.0.1:1"})
	f.Cleanup(func() { _ = client.Close() })
	f.Fuzz(func(t *testing.T, log bool, reply string) {
		a := TokenBucket
		if log {
			a = SlidingLog
		}
		s, err := New(client, Config{Algorithm: a})
		if err != nil {
			t.Fatal(err)
		}
		law := s.mustLaw(t, per(10, time.Second, 10))
		checks := []Check{
			{Key: "a", Law: law, Weight: 1},
			{Key: "a", Law: law, Weight: 1},
			{Key: "b", Law: law, Kind: TakeUpTo, Weight: 3},
			{Key: "a", Law: law, Kind: Peek, Weight: 2},
			{Key: "b", Law: law, Kind: Return, Weight: 2, Since: 5},
		}
		if !log {
			checks = append(checks, Check{Key: "b", Law: law, Kind: Reserve, Weight: 2, Within: 1 << 40}, Check{Key: "a", Law: law, Kind: Cancel, Weight: 1, Booking: &Booking{At: 7, Number: 7}})
		}
		answers := make([]Answer, len(checks))
		p := &plan{last: make(map[string]int32)}
		p.make(s, checks, answers)
		p.calls[0].reply = reply
		_ = s.settle(p, &p.calls[0], checks, answers)
		for i, a := range answers {
			if a.Err == nil && a.Limit != 10 {
				t.Errorf("check %d was not answered: %+v", i, a)
			}
			if a.Taken < 0 || a.Taken > checks[i].Weight && checks[i].Kind != Cancel || a.RetryAfter < -1 || a.Remaining < 0 || a.ResetAfter < 0 {
				t.Errorf("check %d: %+v", i, a)
			}
		}
	})
}
