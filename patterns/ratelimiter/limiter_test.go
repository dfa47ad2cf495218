package ratelimiter

import (
	"context"
	"errors"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/bulwark-go/bulwark/actors"
	"github.com/bulwark-go/bulwark/actors/actorstest"
	"github.com/bulwark-go/bulwark/patterns"
	"github.com/bulwark-go/bulwark/patterns/internal/handletest"
)

// queued lets one pass every 100 ms, and up to 4 wait.
var queued = Config{Rate: Rate{10, sec, 1}, MaxWaiting: 4}

func spawnAPI(t testing.TB, guards *actors.Registry, c Config) *Limiter {
	t.Helper()
	return handletest.Must(Spawn(guards, "api", c))(t)
}

// isCause reports whether err is a refusal by the limiter for that cause.
func isCause(err error, c Cause) bool {
	e, ok := errors.AsType[*LimitError](err)
	return ok && e.Cause == c && e.Name == "api" && errors.Is(err, ErrLimited) && errors.Is(err, patterns.ErrRejected) && e.Error() != ""
}

// passings notes who passed when.
type passings struct {
	began time.Time
	seen  chan string
	wg    sync.WaitGroup
}

func newPassings() *passings { return &passings{began: time.Now(), seen: make(chan string, 99)} }

// spawned starts a caller, and lets it get as far as it can.
//
//bulwark:bubble
func (p *passings) spawned(name string, call func() error) {
	p.wg.Go(func() {
		if err := call(); err != nil {
			name += " " + string(causeOf(err))
			if errors.Is(err, context.Canceled) {
				name = strings.Fields(name)[0] + " left"
			}
		}
		p.seen <- name + " " + time.Since(p.began).String()
	})
	synctest.Wait()
}

func (p *passings) want(t *testing.T, want ...string) {
	t.Helper()
	p.wg.Wait()
	close(p.seen)
	var seen []string
	for s := range p.seen {
		seen = append(seen, s)
	}
	if !slices.Equal(seen, want) {
		t.Errorf("got  %q\nwant %q", seen, want)
	}
}

func TestCallersPassInOrderAtTheirTimes(t *testing.T) {
	for _, key := range []string{"", "user-123"} {
		for _, c := range []Config{queued, alone(queued), leased(queued)} {
			synctest.Test(t, func(t *testing.T) {
				l := spawnAPI(t, actorstest.NewRegistry(t), c)
				p := newPassings()
				for i := range 6 {
					p.spawned(strconv.Itoa(i), func() error { return l.Wait(t.Context(), key) })
				}
				if l.Allow(key) {
					t.Error("overtakes those who wait")
				}
				if err := l.WaitN(t.Context(), key, 2); !errors.Is(err, patterns.ErrInvalidRequest) {
					t.Errorf("never passes: %v", err)
				}
				p.want(t, "0 0s", "5 queue 0s", "1 100ms", "2 200ms", "3 300ms", "4 400ms")
				s := handletest.Settled(t, l)
				if s.Granted != 5 || s.Success != 5 || s.Rejected != 3 || s.Waiting != 0 || s.InFlight != 0 {
					t.Errorf("%+v", s)
				}
			})
		}
	}
}

func TestATurnThatIsKnownToComeTooLateIsRefusedAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := spawnAPI(t, actorstest.NewRegistry(t), with(queued, func(c *Config) { c.MaxWait = 250 * ms }))
		p := newPassings()
		within := func(d time.Duration) func() error {
			return func() error {
				ctx, cancel := context.WithTimeout(t.Context(), d)
				defer cancel()
				return l.Wait(ctx, "k")
			}
		}
		p.spawned("first", within(time.Hour))
		p.spawned("hasty", within(100*ms))
		p.spawned("second", within(101*ms))
		p.spawned("third", within(time.Hour))
		p.spawned("fourth", within(time.Hour))
		p.want(t, "first 0s", "hasty max-wait 0s", "fourth max-wait 0s", "second 100ms", "third 200ms")
		if s := handletest.Settled(t, l); s.Cancelled != 0 || s.Rejected != 2 {
			t.Errorf("%+v", s)
		}
	})
}

func TestWhoLeavesLeavesNoHole(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := spawnAPI(t, actorstest.NewRegistry(t), queued)
		p := newPassings()
		ctx, cancel := context.WithCancel(t.Context())
		p.spawned("0", func() error { return l.Wait(t.Context(), "") })
		p.spawned("1", func() error { return l.Wait(ctx, "") })
		p.spawned("2", func() error { return l.Wait(t.Context(), "") })
		p.spawned("3", func() error { return l.Wait(t.Context(), "") })
		time.Sleep(50 * ms)
		cancel()
		p.want(t, "0 0s", "1 left 50ms", "2 100ms", "3 200ms")
		if s := handletest.Settled(t, l); s.Cancelled != 1 || s.Granted != 3 {
			t.Errorf("%+v", s)
		}
	})
}

func TestAPermitThatWasNotUsedServesWhoWaits(t *testing.T) {
	for _, key := range []string{"", "k"} {
		synctest.Test(t, func(t *testing.T) {
			l := spawnAPI(t, actorstest.NewRegistry(t), Config{Rate: MustParse("1/hour"), MaxWaiting: 2})
			permit, err := l.For(key).Acquire(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			p := newPassings()
			p.spawned("0", func() error { return l.Wait(t.Context(), key) })
			p.spawned("1", func() error { return l.Wait(t.Context(), key) })
			time.Sleep(sec)
			permit.Release()
			p.want(t, "0 1s", "1 1h0m1s")
			if s := handletest.Settled(t, l); s.Reclaimed != 1 || s.Success != 2 {
				t.Errorf("%+v", s)
			}
		})
	}
}

func TestARestartKeepsWhatWasUsedAndWhoWaits(t *testing.T) {
	for _, msg := range []any{
		actors.Acquire{},
		actors.Report{},
		actors.Cancel{},
		actors.Inspect{},
		actors.Consult{},
		actors.Operate{},
		actors.Reconfigure{},
	} {
		for _, key := range []string{"", "k"} {
			synctest.Test(t, func(t *testing.T) {
				l := spawnAPI(t, actorstest.NewRegistry(t), with(queued, func(c *Config) { c.MaxKeys = 9 }))
				held, err := l.For(key).Acquire(t.Context())
				if err != nil {
					t.Fatal(err)
				}
				p := newPassings()
				for i := range 3 {
					p.spawned(strconv.Itoa(i), func() error { return l.Wait(t.Context(), key) })
				}
				actorstest.Crash(t, l, actorstest.At(msg))
				switch msg.(type) {
				case actors.Acquire:
					l.Allow("another")
				case actors.Report:
					held.Report(patterns.Success)
				case actors.Cancel:
					time.Sleep(100 * ms) // nothing is left to give back
					held.Release()
				case actors.Inspect:
					_, _ = l.Snapshot(t.Context())
				case actors.Consult:
					_, _ = l.Take(t.Context(), key, 1)
				case actors.Operate:
					_ = l.Reset(t.Context())
				case actors.Reconfigure:
					_ = l.Reconfigure(t.Context(), with(queued, func(c *Config) { c.Rate = MustParse("1/s") }))
				}
				if _, reports := msg.(actors.Report); reports { // what was lost with it is taken for unused
					p.want(t, "0 0s", "1 100ms", "2 200ms")
				} else {
					p.want(t, "0 100ms", "1 200ms", "2 300ms")
				}
				held.Report(patterns.Success)
				if s := handletest.Settled(t, l); s.Restarts != 1 || s.Waiting != 0 {
					t.Errorf("%T: %+v", msg, s)
				}
				if a, err := l.Peek(t.Context(), key); a.Allowed || a.RetryAfter != 100*ms || err != nil {
					t.Errorf("%T: %+v, %v", msg, a, err)
				}
			})
		}
	}
}

func TestWhoWaitsFollowsAChangeOfTheRules(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		guards := actorstest.NewRegistry(t)
		l := spawnAPI(t, guards, queued)
		ctx := t.Context()
		p := newPassings()
		for i := range 4 {
			p.spawned(strconv.Itoa(i), func() error { return l.Wait(ctx, "k") })
		}
		time.Sleep(101 * ms) // the first of those who wait has passed
		if err := l.Reconfigure(ctx, with(queued, func(c *Config) { c.Rate, c.MaxWaiting = MustParse("1/second"), 1 })); err != nil {
			t.Fatal(err)
		}
		p.spawned("x", func() error { return l.Wait(ctx, "k") }) // two wait, and one may
		time.Sleep(500 * ms)
		if err := l.Reconfigure(ctx, with(queued, func(c *Config) { c.Rate = MustParse("2/second burst 1") })); err != nil {
			t.Fatal(err)
		}
		p.spawned("4", func() error { return l.Wait(ctx, "k") })
		time.Sleep(50 * ms)
		if err := l.Reset(ctx); err != nil { // and the next passes at once
			t.Fatal(err)
		}
		p.want(t, "0 0s", "1 100ms", "x queue 101ms", "2 651ms", "3 1.151s", "4 1.651s")
		actorstest.WantEvents(t, guards, WasChanged, WasChanged)
	})
}

func TestForcedStates(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := spawnAPI(t, actorstest.NewRegistry(t), queued)
		ctx := t.Context()
		p := newPassings()
		p.spawned("0", func() error { return l.Wait(ctx, "k") })
		p.spawned("1", func() error { return l.Wait(ctx, "k") })
		if err := l.Operate(ctx, patterns.Operation{Kind: patterns.ForceOpen, For: sec}); err != nil {
			t.Fatal(err)
		}
		if err := l.Wait(ctx, "k"); !isCause(err, CauseForced) || l.Allow("") {
			t.Errorf("forced open: %v", err)
		}
		p.want(t, "0 0s", "1 forced 0s")
		if a, err := l.Take(ctx, "k", 1); a.Allowed || a.RetryAfter != sec || err != nil {
			t.Errorf("%+v, %v", a, err)
		}
		time.Sleep(sec)
		if !l.Allow("k") || l.Allow("k") {
			t.Error("does not limit again")
		}
		if err := l.Operate(ctx, patterns.Operation{Kind: patterns.MetricsOnly}); err != nil {
			t.Fatal(err)
		}
		if !l.Allow("k") || handletest.Settled(t, l).Exceeded != 1 {
			t.Error("refuses, or does not count")
		}
	})
}

func TestAnswersOfTheHandle(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := spawnAPI(t, actorstest.NewRegistry(t), Config{Rate: Rate{10, sec, 5}, MaxWaiting: 5})
		ctx := t.Context()
		for i, key := range []string{"", "k"} {
			if a, err := l.Peek(ctx, key); err != nil || a != (Answer{Allowed: true, Rate: Rate{10, sec, 5}, Limit: 5, Remaining: 5}) {
				t.Errorf("%+v, %v", a, err)
			}
			if a, err := l.Take(ctx, key, 3); err != nil || a != (Answer{Allowed: true, Rate: Rate{10, sec, 5}, Limit: 5, Remaining: 2, ResetAfter: 300 * ms}) {
				t.Errorf("%+v, %v", a, err)
			}
			if a, err := l.Take(ctx, key, 3); err != nil || a.Allowed || a.RetryAfter != 100*ms {
				t.Errorf("%+v, %v", a, err)
			}
			if a, err := l.Take(ctx, key, 6); err != nil || a.Allowed || a.RetryAfter != -1 {
				t.Errorf("%+v, %v", a, err)
			}
			if a, err := l.Take(ctx, key, 0); err != nil || !a.Allowed || a.Remaining != 2 {
				t.Errorf("%+v, %v", a, err)
			}
			if a, err := l.TakeUpTo(ctx, key, 0); err != nil || a.Allowed || a.N != 0 || a.Remaining != 2 {
				t.Errorf("%+v, %v", a, err)
			}
			if a, err := l.TakeUpTo(ctx, key, 9); err != nil || !a.Allowed || a.N != 2 || a.Remaining != 0 {
				t.Errorf("%+v, %v", a, err)
			}
			if a, err := l.TakeUpTo(ctx, key, 9); err != nil || a.Allowed || a.N != 0 || a.RetryAfter != 100*ms {
				t.Errorf("%+v, %v", a, err)
			}
			if l.Allow(key) || l.AllowN(key, -1) || !l.AllowN(key, 0) || l.WaitN(ctx, key, 0) != nil {
				t.Error("nothing is left, and 0 is always there")
			}
			if s := handletest.Settled(t, l); s.Granted != uint64(2*i+2) || s.Rejected != uint64(5*i+5) {
				t.Errorf("%+v", s)
			}
		}
		ended, cancel := context.WithCancel(ctx)
		cancel()
		if _, err := l.Take(ended, "k", 1); !errors.Is(err, context.Canceled) {
			t.Errorf("%v", err)
		}
		if err := l.WaitN(ended, "k", 0); !errors.Is(err, context.Canceled) {
			t.Errorf("%v", err)
		}
	})
}

func TestReservationsOfTheHandle(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := spawnAPI(t, actorstest.NewRegistry(t), with(queued, func(c *Config) { c.MaxWait = sec }))
		ctx := t.Context()
		began := time.Now()
		var last Reservation
		for i := range 11 {
			v, err := l.Reserve(ctx, "k", 1, 0)
			if err != nil || v.Delay() != time.Duration(i)*100*ms || v.At.Sub(began) != v.Delay() {
				t.Fatalf("%+v, %v", v, err)
			}
			last = v
		}
		if _, err := l.Reserve(ctx, "k", 1, 0); !isCause(err, CauseMaxWait) {
			t.Errorf("later than MaxWait: %v", err)
		}
		beyond, err := l.Reserve(ctx, "k", 1, time.Hour)
		if err != nil || beyond.Delay() != 1100*ms {
			t.Errorf("%+v, %v", beyond, err)
		}
		if ok, err := l.CancelReservation(ctx, beyond); !ok || err != nil {
			t.Error(ok, err)
		}
		if _, err := l.Reserve(ctx, "k", 1, -1); !isCause(err, CauseRate) {
			t.Errorf("in the past: %v", err)
		}
		if _, err := l.Reserve(ctx, "k", 9, 0); !errors.Is(err, patterns.ErrInvalidRequest) {
			t.Errorf("too heavy: %v", err)
		}
		time.Sleep(500 * ms)
		for i, want := range []bool{true, false} {
			if ok, err := l.CancelReservation(ctx, last); ok != want || err != nil {
				t.Errorf("cancelled for the %d. time: %v, %v", i+1, ok, err)
			}
		}
		if a, _ := l.Peek(ctx, "k"); a.RetryAfter != 500*ms {
			t.Errorf("the next passes after %v", a.RetryAfter)
		}
		if s := handletest.Settled(t, l); s.Reserved != 12 || s.Refunded != 2 || s.Granted != 12 || s.Rejected != 3 {
			t.Errorf("%+v", s)
		}
		if v := (Reservation{}); v.Delay() != 0 {
			t.Error("none is not over")
		}
	})
}

// Who waits is told of a reservation's end, and of a new rate, at once.
func TestAnswersThatFreeServeWhoWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := spawnAPI(t, actorstest.NewRegistry(t), Config{Rate: MustParse("1/hour"), MaxWaiting: 9})
		ctx := t.Context()
		v, err := l.Reserve(ctx, "k", 1, 0)
		if err != nil {
			t.Fatal(err)
		}
		p := newPassings()
		for i := range 4 {
			p.spawned(strconv.Itoa(i), func() error { return l.Wait(ctx, "k") })
		}
		if _, err := l.Reserve(ctx, "k", 1, 0); !isCause(err, CauseWaiters) {
			t.Errorf("books before those who wait: %v", err)
		}
		if a, err := l.Take(ctx, "k", 1); a.Allowed || a.RetryAfter != 5*time.Hour || err != nil {
			t.Errorf("%+v, %v", a, err)
		}
		if a, err := l.Take(ctx, "other", 1); !a.Allowed || err != nil {
			t.Errorf("waits behind another key: %+v, %v", a, err)
		}
		time.Sleep(sec)
		if ok, err := l.CancelReservation(ctx, v); !ok || err != nil {
			t.Error(ok, err)
		}
		synctest.Wait()
		if err := l.Override(ctx, "k", MustParse("1/minute")); err != nil {
			t.Fatal(err)
		}
		time.Sleep(90 * sec)
		if before, err := l.RemoveOverride(ctx, "k"); !before || err != nil {
			t.Error(before, err)
		}
		if before, err := l.RemoveOverride(ctx, "k"); before || err != nil {
			t.Error(before, err)
		}
		if err := l.Override(ctx, "", MustParse("1/minute")); err == nil {
			t.Error("a rate of no key")
		}
		// The reservation's hour less a second came back; what a minute brings is 1, and half
		// a minute of it is half an hour.
		p.want(t, "0 1s", "1 1m1s", "2 31m31s", "3 1h31m31s")
	})
}
