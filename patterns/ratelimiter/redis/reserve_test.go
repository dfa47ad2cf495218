package redislimiter

import (
	"context"
	"errors"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/bulwark-go/bulwark/actors/actorstest"
	"github.com/bulwark-go/bulwark/patterns"
	"github.com/bulwark-go/bulwark/patterns/ratelimiter"
	"github.com/bulwark-go/bulwark/patterns/ratelimiter/redis/internal/store"
)

// reserved books and fails the test if that may not be used after just so long.
//
//bulwark:bubble
func reserved(t *testing.T, l *Limiter, key string, n int, delay time.Duration) ratelimiter.Reservation {
	t.Helper()
	v, err := l.Reserve(t.Context(), key, n, time.Hour)
	if err != nil || v.Delay() != delay || v.Key != key || v.Weight != n {
		t.Fatalf("%+v in %v, %v; want %v", v, v.Delay(), err, delay)
	}
	return v
}

func cancelled(t *testing.T, l *Limiter, v ratelimiter.Reservation, want bool) {
	t.Helper()
	if got, err := l.CancelReservation(t.Context(), v); err != nil || got != want {
		t.Errorf("cancelled: %t, %v; want %t", got, err, want)
	}
}

func causeOf(err error) ratelimiter.Cause {
	if e, ok := errors.AsType[*ratelimiter.LimitError](err); ok {
		return e.Cause
	}
	return ratelimiter.CauseNone
}

func TestWhatIsReservedMayBeUsedWhenRedisSays(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newShelf(3)
		l := spawnOn(t, actorstest.NewRegistry(t), s, Config{MaxWaiting: 5, MaxWait: 2 * time.Second})
		reserved(t, l, "ann", 3, 0)
		reserved(t, l, "ann", 2, 2*time.Second)
		for _, test := range []struct {
			name   string
			n      int
			within time.Duration
			want   ratelimiter.Cause
		}{
			{"later than that", 1, 2999 * time.Millisecond, ratelimiter.CauseMaxWait},
			{"later than MaxWait", 1, 0, ratelimiter.CauseMaxWait},
			{"in the past", 1, -1, ratelimiter.CauseRate},
		} {
			if v, err := l.Reserve(t.Context(), "ann", test.n, test.within); causeOf(err) != test.want || v != (ratelimiter.Reservation{}) {
				t.Errorf("%s: %+v, %v", test.name, v, err)
			} else if e, _ := errors.AsType[*ratelimiter.LimitError](err); e.RetryAfter() != 3*time.Second {
				t.Errorf("%s: %v, want to come again in 3 s", test.name, err)
			}
		}
		if _, err := l.Reserve(t.Context(), "ann", 4, 0); !errors.Is(err, patterns.ErrInvalidRequest) {
			t.Errorf("more than there can be: %v", err)
		}
		if _, err := l.Reserve(t.Context(), "ann", -1, 0); !errors.Is(err, patterns.ErrInvalidRequest) {
			t.Errorf("less than nothing: %v", err)
		}
		if n := snapshot(t, l); n.Granted != 2 || n.Rejected != 5 || s.used("ann") != 5 {
			t.Errorf("%d are used: %+v", s.used("ann"), n)
		}
	})
}

func TestAReservationIsCancelledOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newShelf(3)
		l := spawnOn(t, actorstest.NewRegistry(t), s, Config{})
		reserved(t, l, "ann", 3, 0)
		v := reserved(t, l, "ann", 2, 2*time.Second)
		other := v
		other.Key = "bob"
		cancelled(t, l, other, false)
		cancelled(t, l, ratelimiter.Reservation{Key: "ann"}, false)
		cancelled(t, l, v, true)
		cancelled(t, l, v, false)
		if s.used("ann") != 3 {
			t.Errorf("%d are used, want 3", s.used("ann"))
		}
		v = reserved(t, l, "ann", 1, time.Second)
		time.Sleep(time.Hour)
		cancelled(t, l, v, false) // there is nothing left to give back
	})
}

// Whoever asks twice at once is told so: only one of them is.
func TestAReservationThatTwoCancelAtOnceIsGivenBackOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newShelf(3)
		l := spawnOn(t, actorstest.NewRegistry(t), s, Config{})
		v := reserved(t, l, "ann", 2, 0)
		s.set(func(s *shelf) { s.takes = time.Millisecond })
		var told [3]bool
		var all sync.WaitGroup
		for i := range told {
			all.Go(func() { told[i], _ = l.CancelReservation(t.Context(), v) })
		}
		all.Wait()
		if told[0] == told[1] && told[1] == told[2] || s.used("ann") != 0 {
			t.Errorf("%v, %d are used", told, s.used("ann"))
		}
	})
}

func TestOtherRulesForgetReservations(t *testing.T) {
	for name, change := range map[string]func(context.Context, *Limiter) error{
		"Reconfigure": func(ctx context.Context, l *Limiter) error {
			c := l.cfg
			c.Failures = 7
			return l.Reconfigure(ctx, c)
		},
		"Override": func(ctx context.Context, l *Limiter) error {
			return l.Override(ctx, "ann", ratelimiter.Rate{Count: 3, Per: time.Minute})
		},
		"RemoveOverride": func(ctx context.Context, l *Limiter) error {
			_, err := l.RemoveOverride(ctx, "ann")
			return err
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				l := spawnOn(t, actorstest.NewRegistry(t), newShelf(3), Config{})
				v, bob := reserved(t, l, "ann", 3, 0), reserved(t, l, "bob", 3, 0)
				if err := change(t.Context(), l); err != nil {
					t.Fatal(err)
				}
				cancelled(t, l, v, false)
				cancelled(t, l, bob, name != "Reconfigure")
			})
		})
	}
}

func TestWhatIsBookedForOneWhoLeftIsGivenBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newShelf(3)
		s.takes = 10 * time.Millisecond
		l := spawnOn(t, actorstest.NewRegistry(t), s, Config{Timeout: time.Second, LeaseFor: time.Second})
		l.Allow("ann")
		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Millisecond)
		defer cancel()
		if _, err := l.Reserve(ctx, "ann", 3, time.Hour); !errors.Is(err, context.DeadlineExceeded) {
			t.Fatal(err)
		}
		time.Sleep(time.Minute)
		if s.used("ann") != 1 {
			t.Errorf("%d are used, want 1", s.used("ann"))
		}
	})
}

func TestReservationsWithoutRedis(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for _, policy := range []Outage{FailOpen, FailClosed, Local} {
			s := newShelf(8)
			s.fault = func(int) error { return errUnreachable }
			guards := actorstest.NewRegistry(t)
			l := spawnOn(t, guards, s, Config{Rate: ratelimiter.Rate{Count: 8, Per: 8 * time.Second}, OnOutage: policy, Instances: 2, Failures: 1})
			var got [3]ratelimiter.Reservation
			var err error
			for i := range got {
				if got[i], err = l.Reserve(t.Context(), "ann", 2, time.Hour); (err != nil) != (policy == FailClosed) || err != nil && !errors.Is(err, ErrOutage) {
					t.Fatalf("%v: %v", policy, err)
				}
			}
			delays, owing := [3]time.Duration{}, int64(6)
			switch policy {
			case Local: // 4 in 8 s are this instance's part
				delays[2] = 4 * time.Second
				cancelled(t, l, got[2], true)
				cancelled(t, l, got[2], false)
				owing = 4
			case FailOpen:
				cancelled(t, l, got[0], false) // nothing was booked
			case FailClosed:
				owing = 0
			}
			for i, want := range delays {
				if policy != FailClosed && got[i].Delay() != want {
					t.Errorf("%v: reservation %d in %v, want %v", policy, i, got[i].Delay(), want)
				}
			}
			s.set(func(s *shelf) { s.fault = nil })
			time.Sleep(time.Second)
			if s.used("ann") != owing {
				t.Errorf("%v: %d are used after it, want %d", policy, s.used("ann"), owing)
			}
			if policy == Local {
				cancelled(t, l, got[1], false) // it is charged
			}
			snapshot(t, l)
			_ = guards.Shutdown(t.Context())
		}
	})
}

// What is cancelled while Redis is away is given back as soon as it is there again.
func TestAReservationIsCancelledInAnOutage(t *testing.T) {
	for name, fault := range map[string]error{"is known to be away": nil, "is found to be away": errUnreachable} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := newShelf(8)
				l := spawnOn(t, actorstest.NewRegistry(t), s, Config{Failures: 1, OnOutage: FailClosed})
				v := reserved(t, l, "ann", 5, 0)
				s.set(func(s *shelf) { s.fault = func(int) error { return errUnreachable } })
				if fault == nil {
					l.Allow("bob")
				}
				cancelled(t, l, v, true)
				cancelled(t, l, v, false)
				s.set(func(s *shelf) { s.fault = nil })
				time.Sleep(time.Second)
				if n := snapshot(t, l); s.used("ann") != 0 || n.NotReturned != 0 || n.Down {
					t.Errorf("%d are used: %+v", s.used("ann"), n)
				}
			})
		})
	}
}

// A call that may have cancelled is not repeated: what it did not give back stays used.
func TestACancellationWithoutAnAnswerIsNotRepeated(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newShelf(8)
		l := spawnOn(t, actorstest.NewRegistry(t), s, Config{})
		v := reserved(t, l, "ann", 5, 0)
		s.set(func(s *shelf) {
			s.fault = func(int) error { return &store.Fault{Class: store.Broken, Err: errors.New("EOF")} }
		})
		if _, err := l.CancelReservation(t.Context(), v); !errors.Is(err, ErrOutage) {
			t.Error(err)
		}
		s.set(func(s *shelf) { s.fault = nil })
		cancelled(t, l, v, false)
		if n := snapshot(t, l); n.NotReturned != 5 || s.used("ann") != 5 {
			t.Errorf("%d are used: %+v", s.used("ann"), n)
		}
	})
}

func TestAReservationGoesPastTheLease(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newShelf(100)
		l := spawnOn(t, actorstest.NewRegistry(t), s, Config{LeaseFor: time.Second})
		for range 30 {
			l.Allow("ann")
			time.Sleep(time.Millisecond)
		}
		held := snapshot(t, l).Held
		v := reserved(t, l, "ann", 20, 0)
		if n := snapshot(t, l); held == 0 || n.Held != held || s.used("ann") != 50+held {
			t.Errorf("%d were held, %d are, and %d are used", held, n.Held, s.used("ann"))
		}
		cancelled(t, l, v, true)
		if n := snapshot(t, l); n.Held != held || s.used("ann") != 30+held {
			t.Errorf("%d were held, %d are, and %d are used", held, n.Held, s.used("ann"))
		}
	})
}

func TestALogReservesWhatThereIs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := spawnOn(t, actorstest.NewRegistry(t), newShelf(3), Config{Algorithm: ratelimiter.SlidingLog})
		v := reserved(t, l, "ann", 3, 0)
		if _, err := l.Reserve(t.Context(), "ann", 1, time.Hour); causeOf(err) != ratelimiter.CauseRate {
			t.Error(err)
		}
		cancelled(t, l, v, false)
	})
}

func TestNobodyReservesBeforeThoseWhoWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newShelf(3)
		l := spawnOn(t, actorstest.NewRegistry(t), s, Config{MaxWaiting: 5})
		reserved(t, l, "ann", 3, 0)
		ctx, cancel := context.WithCancel(t.Context())
		go func() { _ = l.Wait(ctx, "ann") }()
		synctest.Wait()
		if _, err := l.Reserve(t.Context(), "ann", 1, 0); causeOf(err) != ratelimiter.CauseWaiters {
			t.Error(err)
		}
		reserved(t, l, "bob", 1, 0)
		cancel()
		synctest.Wait()
		reserved(t, l, "ann", 1, time.Second)
	})
}

func TestForcedStatesDecideOnReservations(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newShelf(3)
		l := spawnOn(t, actorstest.NewRegistry(t), s, Config{})
		for kind, passes := range map[patterns.OperationKind]bool{patterns.ForceOpen: false, patterns.ForceClosed: true, patterns.MetricsOnly: true} {
			if err := l.Operate(t.Context(), patterns.Operation{Kind: kind}); err != nil {
				t.Fatal(err)
			}
			v, err := l.Reserve(t.Context(), "ann", 9, 0)
			if passes && (err != nil || v.ID != 0 || v.Delay() != 0) || !passes && causeOf(err) != ratelimiter.CauseForced {
				t.Errorf("%v: %+v, %v", kind, v, err)
			}
		}
		if s.used("ann") != 0 {
			t.Errorf("%d are used", s.used("ann"))
		}
	})
}

func TestReservationsAreBounded(t *testing.T) {
	s := newReservations()
	for i := range maxReservations + 10 {
		if id := s.put(0, reservation{charge: charge{key: "k"}, gone: 5}); id != uint64(i+1) {
			t.Fatalf("the reservation after %d is %d", i, id)
		}
	}
	if _, ok := s.find(0, ratelimiter.Reservation{Key: "k", ID: 10}); ok || len(s.of) != maxReservations {
		t.Errorf("%d are known", len(s.of))
	}
	if _, ok := s.find(0, ratelimiter.Reservation{Key: "k", ID: 11}); !ok {
		t.Error("one too many is forgotten")
	}
	if s.put(5, reservation{gone: 9}); len(s.of) != 1 {
		t.Errorf("%d are known, and all but one are worth nothing", len(s.of))
	}
}

func TestReservationsAsMessages(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := spawnOn(t, actorstest.NewRegistry(t), newShelf(3), Config{})
		answer, err := l.Consult(t.Context(), ratelimiter.Reserve{Key: "ann", Weight: 2})
		v, ok := answer.(ratelimiter.Reservation)
		if err != nil || !ok || v.ID == 0 {
			t.Fatalf("%+v, %v", answer, err)
		}
		answer, err = l.Consult(t.Context(), ratelimiter.CancelReservation{Reservation: v})
		if err != nil || answer != (ratelimiter.Cancelled{Refunded: true}) {
			t.Errorf("%+v, %v", answer, err)
		}
	})
}
