package redislimiter_test

import (
	"cmp"
	"crypto/rand"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/bulwark-go/bulwark/patterns/ratelimiter"
	redislimiter "github.com/bulwark-go/bulwark/patterns/ratelimiter/redis"
)

// Whoever books later is told a later time, in whichever instance, and what one gives back is
// there for all.
func TestInstancesBookOneAfterTheOther(t *testing.T) {
	prefix := rand.Text()
	var all []*redislimiter.Limiter
	for range 3 {
		l, _ := spawn(t, redislimiter.Config{
			Rate: ratelimiter.Rate{Count: 1, Per: time.Hour}, Client: servers.Client(t), Prefix: prefix, OnOutage: redislimiter.FailClosed, Timeout: 10 * time.Second,
		})
		all = append(all, l)
	}
	book := func(i int) (v ratelimiter.Reservation, hours time.Duration) {
		v, err := all[i%len(all)].Reserve(t.Context(), "ann", 1, 0)
		must(t, err)
		return v, v.Delay().Round(time.Hour) / time.Hour
	}
	var last ratelimiter.Reservation
	for i := range 7 {
		v, hours := book(i)
		if last = v; hours != time.Duration(i) {
			t.Fatalf("reservation %d in %v", i, v.Delay())
		}
	}
	if a, err := all[1].Peek(t.Context(), "ann"); err != nil || a.Allowed || a.RetryAfter.Round(time.Hour) != 7*time.Hour {
		t.Errorf("%+v, %v", a, err)
	}
	if ok, err := all[1].CancelReservation(t.Context(), last); err != nil || ok {
		t.Errorf("an instance cancelled what another booked: %t, %v", ok, err)
	}
	if ok, err := all[0].CancelReservation(t.Context(), last); err != nil || !ok {
		t.Errorf("cancelled: %t, %v", ok, err)
	}
	if _, hours := book(2); hours != 6 {
		t.Errorf("what was cancelled is given to somebody in %d hours, want 6", hours)
	}
	must(t, all[0].Forget(t.Context(), "ann"))
	if a, err := all[2].Peek(t.Context(), "ann"); err != nil || a.RetryAfter.Round(time.Hour) != 7*time.Hour {
		t.Errorf("what is booked is not forgotten: %+v, %v", a, err)
	}
}

// However many book and cancel, of all that may be used at some time there is never more than
// the rate allows.
func TestNoMoreIsPromisedThanAllowed(t *testing.T) {
	prefix, l := rand.Text(), law{ratelimiter.TokenBucket, ratelimiter.Rate{Count: 200, Per: time.Second, Burst: 20}}
	var mu sync.Mutex
	var promised []time.Time
	var longest time.Duration // that a call took: so much later is what it was told
	var everybody sync.WaitGroup
	for range 4 {
		limiter, _ := spawn(t, redislimiter.Config{Rate: l.Rate, Client: servers.Client(t), Prefix: prefix, OnOutage: redislimiter.FailClosed, Timeout: 10 * time.Second})
		for i := range 8 {
			everybody.Go(func() {
				for j := range 60 {
					asked := time.Now()
					v, err := limiter.Reserve(t.Context(), "hot", 1, 700*time.Millisecond)
					took := time.Since(asked)
					if err != nil {
						continue
					}
					if (i+j)%3 == 0 {
						if ok, err := limiter.CancelReservation(t.Context(), v); err != nil {
							t.Error(err)
						} else if ok {
							continue
						}
					}
					mu.Lock()
					promised, longest = append(promised, v.At), max(longest, took)
					mu.Unlock()
				}
			})
		}
	}
	everybody.Wait()
	slices.SortFunc(promised, func(a, b time.Time) int { return cmp.Compare(a.UnixNano(), b.UnixNano()) })
	for i, from := range promised {
		for j := i; j < len(promised); j++ {
			if most := l.most(promised[j].Sub(from) + longest); j-i+1 > most {
				t.Fatalf("%d are promised within %v, want at most %d", j-i+1, promised[j].Sub(from), most)
			}
		}
	}
	t.Logf("%d were promised, and a call took at most %v", len(promised), longest)
}
