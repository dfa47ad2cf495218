package exchange_test

import (
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/bulwark-go/bulwark/actors"
	"github.com/bulwark-go/bulwark/actors/exchange"
	"github.com/bulwark-go/bulwark/mailbox"
	"github.com/bulwark-go/bulwark/patterns"
	"github.com/bulwark-go/bulwark/patterns/circuitbreaker"
	"github.com/bulwark-go/bulwark/patterns/retry"
	"github.com/bulwark-go/bulwark/patterns/timeout"
)

func (k *kit) once(cfg exchange.OnceConfig, opts ...exchange.OnceOption) *exchange.Once {
	o, err := exchange.NewOnce(cfg, opts...)
	return must(k.t, o, err)
}

// impatient is a retry of three attempts, of a second each.
func (k *kit) impatient() patterns.Guard {
	soon, err := timeout.Spawn(k.guards, "soon", timeout.Config{PerAttempt: time.Second})
	must(k.t, soon, err)
	return pipe(k.t, k.retry(retry.Config{Backoff: retry.Constant(0)}), soon)
}

func (k *kit) recall(pid *actor.PID) exchange.OnceSnapshot {
	k.t.Helper()
	s, err := actors.Ask[exchange.OnceSnapshot](k.t.Context(), k.system, pid, exchange.Inspect{})
	return must(k.t, s, err)
}

func TestARepeatedRequestJoinsTheWorkInProgress(t *testing.T) {
	bubble(t, exchange.Config{}, func(t *testing.T, k *kit) {
		s := k.callee(nil, k.once(exchange.OnceConfig{}).Attach)
		k.ask(k.impatient(), s.pid, "go")
		time.Sleep(1500 * time.Millisecond) // in the second attempt
		if len(s.got) != 1 {
			t.Fatalf("done %d times", len(s.got))
		}
		k.in(s.pid, func(c actor.Context) { c.Send(s.got[0].sender, "well") })
		if a := k.answer(); a.Reply != "well" || a.Attempts != 2 || a.Elapsed != 1500*time.Millisecond {
			t.Errorf("%+v", a)
		}
		if s := k.recall(s.pid); s != (exchange.OnceSnapshot{Asked: 2, Begun: 1, Joined: 1, Remembered: 1}) {
			t.Errorf("%+v", s)
		}
		if s := k.snapshot(); s.Late != 1 { // that to the first attempt
			t.Errorf("%+v", s)
		}
	})
}

func TestARepeatedRequestGetsTheEarlierReply(t *testing.T) {
	bubble(t, exchange.Config{}, func(t *testing.T, k *kit) {
		s := k.callee(func(c actor.Context, n int) { c.Respond(n) }, k.once(exchange.OnceConfig{TTL: time.Minute}).Attach)
		b := k.breaker(circuitbreaker.Config{})
		for i, want := range []any{1, 1, 1, 2} {
			k.answers = nil
			k.ask(b, s.pid, "pay", exchange.As("order-7"))
			if a := k.answer(); a.Reply != want {
				t.Errorf("%d: %+v", i, a)
			}
			time.Sleep(29 * time.Second)
		}
		if s := k.recall(s.pid); s != (exchange.OnceSnapshot{Asked: 4, Begun: 2, Replayed: 2, Remembered: 1}) {
			t.Errorf("%+v", s)
		}
	})
}

func TestAReplyThatIsAnErrorIsNotRememberedUnlessItIsToBe(t *testing.T) {
	for name, row := range map[string]struct {
		opts []exchange.OnceOption
		done int
	}{
		"by default the work is done again": {nil, 3},
		"remembered, it is not":             {[]exchange.OnceOption{exchange.Remember(func(any) bool { return true }), exchange.Remember(nil)}, 1},
		"nor if nobody can say":             {[]exchange.OnceOption{exchange.Remember(func(any) bool { panic("bug") })}, 1},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, exchange.Config{}, func(t *testing.T, k *kit) {
				s := k.callee(func(c actor.Context, _ int) { c.Respond(errSick) }, k.once(exchange.OnceConfig{}, row.opts...).Attach)
				k.ask(k.retry(retry.Config{Backoff: retry.Constant(time.Millisecond)}), s.pid, "go")
				time.Sleep(time.Second)
				if a := k.answer(); !errors.Is(a.Err, errSick) || a.Attempts != 3 || len(s.got) != row.done {
					t.Errorf("done %d times: %+v", len(s.got), a)
				}
			})
		})
	}
}

func TestACrashIsAnsweredAtOnceAndTheNextAttemptDoesTheWorkWhateverTheMailbox(t *testing.T) {
	for name, opts := range map[string][]actor.PropsOption{
		"proto.actor's": nil,
		"ours":          {actor.WithMailbox(mailbox.MustNew())},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, exchange.Config{}, func(t *testing.T, k *kit) {
				s := k.callee(func(c actor.Context, n int) {
					if n == 1 {
						panic("bug")
					}
					c.Respond(n)
				}, append(opts, k.once(exchange.OnceConfig{}).Attach)...)
				k.ask(k.retry(retry.Config{Backoff: retry.Constant(time.Millisecond)}), s.pid, "go")
				time.Sleep(10 * time.Millisecond)
				if a := k.answer(); a.Reply != 2 || a.Attempts != 2 || a.Elapsed > 2*time.Millisecond {
					t.Errorf("%+v", a)
				}
			})
		})
	}
}

func TestARestartGivesUpWhatIsWorkedOnAndKeepsWhatWasAnswered(t *testing.T) {
	bubble(t, exchange.Config{}, func(t *testing.T, k *kit) {
		s := k.callee(func(c actor.Context, n int) {
			if c.Message() != "slow" {
				c.Respond(n)
			}
		}, k.once(exchange.OnceConfig{}).Attach)
		b := k.breaker(circuitbreaker.Config{})
		k.ask(b, s.pid, "quick", exchange.As("a"))
		k.ask(b, s.pid, "slow", exchange.As("b"))
		k.ask(b, s.pid, "slow", exchange.As("b"))
		k.in(s.pid, func(actor.Context) { panic("bug") })
		if len(k.answers) != 3 {
			t.Fatalf("%+v", k.answers)
		}
		for _, a := range k.answers[1:] {
			if u, ok := errors.AsType[mailbox.Undelivered](a.Err); !ok || !errors.Is(u, exchange.ErrRestarting) || u.Message != "slow" {
				t.Errorf("%+v", a)
			}
		}
		k.in(s.pid, func(c actor.Context) { c.Send(s.got[1].sender, "late") }) // nobody's
		k.answers = nil
		k.ask(b, s.pid, "quick", exchange.As("a"))
		if a := k.answer(); a.Reply != 1 {
			t.Errorf("%+v", a)
		}
		_ = k.system.Root.StopFuture(s.pid).Wait()
	})
}

func TestAReplyThatWasSentBeforeTheCrashCounts(t *testing.T) {
	bubble(t, exchange.Config{}, func(t *testing.T, k *kit) {
		s := k.callee(func(c actor.Context, n int) {
			c.Respond(n)
			panic("bug")
		}, k.once(exchange.OnceConfig{}).Attach)
		b := k.breaker(circuitbreaker.Config{})
		for range 2 {
			k.answers = nil
			k.ask(b, s.pid, "go", exchange.As("a"))
			if a := k.answer(); a.Reply != 1 || a.Err != nil {
				t.Errorf("%+v", a)
			}
		}
	})
}

func TestAStopGivesUpWhatIsWorkedOn(t *testing.T) {
	bubble(t, exchange.Config{}, func(t *testing.T, k *kit) {
		s := k.callee(nil, k.once(exchange.OnceConfig{}).Attach)
		k.ask(k.breaker(circuitbreaker.Config{}), s.pid, "go")
		_ = k.system.Root.StopFuture(s.pid).Wait()
		if a := k.answer(); !errors.Is(a.Err, exchange.ErrStopping) {
			t.Errorf("%+v", a)
		}
	})
}

func TestARequestAfterItsDeadlineIsRefusedAndNotServed(t *testing.T) {
	for name, opt := range map[string]func(k *kit) actor.PropsOption{
		"by DropExpired": func(*kit) actor.PropsOption { return actor.WithReceiverMiddleware(exchange.DropExpired) },
		"by Once":        func(k *kit) actor.PropsOption { return k.once(exchange.OnceConfig{}).Attach },
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, exchange.Config{}, func(t *testing.T, k *kit) {
				s := k.callee(func(c actor.Context, n int) {
					if n == 1 {
						time.Sleep(time.Second) // the second waits in the mailbox
					}
					c.Respond(n)
				}, opt(k))
				b := k.breaker(circuitbreaker.Config{})
				k.ask(b, s.pid, "slow", exchange.Within(time.Hour))
				k.ask(b, s.pid, "late", exchange.Within(500*time.Millisecond))
				time.Sleep(2 * time.Second)
				synctest.Wait()
				if len(s.got) != 1 || len(k.answers) != 2 {
					t.Errorf("%+v, %+v", s.got, k.answers)
				}
				if seen := k.snapshot(); seen.Late != 1 { // the refusal
					t.Errorf("%+v", seen)
				}
				k.in(s.pid, func(c actor.Context) { c.Request(c.Self(), "no request of an exchanger") })
				if len(s.got) != 2 {
					t.Errorf("%+v", s.got)
				}
			})
		})
	}
}

func TestWhatIsFullForgetsTheOldestReplyAndNeverAWork(t *testing.T) {
	bubble(t, exchange.Config{}, func(t *testing.T, k *kit) {
		s := k.callee(func(c actor.Context, n int) {
			if c.Message() == "quick" {
				c.Respond(n)
			}
		}, k.once(exchange.OnceConfig{Capacity: 2}).Attach)
		b := k.breaker(circuitbreaker.Config{})
		k.ask(b, s.pid, "quick", exchange.As("a"))
		k.ask(b, s.pid, "quick", exchange.As("b"))
		k.ask(b, s.pid, "slow", exchange.As("c")) // forgets a
		k.answers = nil
		k.ask(b, s.pid, "quick", exchange.As("b"))
		if a := k.answer(); a.Reply != 2 {
			t.Errorf("%+v", a)
		}
		k.ask(b, s.pid, "slow", exchange.As("d")) // forgets b
		k.answers = nil
		k.ask(b, s.pid, "quick", exchange.As("e"))
		if a := k.answer(); !errors.Is(a.Err, exchange.ErrFull) || !errors.Is(a.Err, patterns.ErrRejected) {
			t.Errorf("%+v", a)
		}
		if s := k.recall(s.pid); s != (exchange.OnceSnapshot{Asked: 6, Begun: 4, Replayed: 1, Refused: 1, Working: 2, Forgotten: 2}) {
			t.Errorf("%+v", s)
		}
	})
}

func TestAWorkWithoutAReplyIsGivenUpInTheEnd(t *testing.T) {
	bubble(t, exchange.Config{}, func(t *testing.T, k *kit) {
		s := k.callee(func(c actor.Context, n int) {
			if n > 1 {
				c.Respond(n)
			}
		}, k.once(exchange.OnceConfig{TTL: time.Second}).Attach)
		b := k.breaker(circuitbreaker.Config{})
		k.ask(b, s.pid, "go", exchange.As("a"))
		time.Sleep(time.Second)
		k.ask(b, s.pid, "go", exchange.As("b"))
		if len(k.answers) != 2 {
			t.Fatalf("%+v", k.answers)
		}
		for _, a := range k.answers {
			if a.ID == "a" && !errors.Is(a.Err, exchange.ErrForgotten) || a.ID == "b" && a.Reply != 2 {
				t.Errorf("%+v", a)
			}
		}
	})
}

func TestSoManyMayJoinAndNoMore(t *testing.T) {
	bubble(t, exchange.Config{}, func(t *testing.T, k *kit) {
		s := k.callee(nil, k.once(exchange.OnceConfig{}).Attach)
		b := k.breaker(circuitbreaker.Config{})
		for range 66 {
			k.ask(b, s.pid, "go", exchange.As("a"))
		}
		if a := k.answer(); !errors.Is(a.Err, exchange.ErrFull) {
			t.Errorf("%+v", a)
		}
		k.in(s.pid, func(c actor.Context) { c.Send(s.got[0].sender, "well") })
		if len(k.answers) != 66 {
			t.Errorf("%d answers", len(k.answers))
		}
	})
}

func TestAOnceConfigNamesEveryFault(t *testing.T) {
	for _, cfg := range []exchange.OnceConfig{{Capacity: -1, TTL: -1}, {Capacity: exchange.MaxCapacity + 1, TTL: exchange.MaxTTL + 1}} {
		_, err := exchange.NewOnce(cfg, nil)
		for _, part := range []string{"Capacity", "TTL"} {
			if err == nil || !strings.Contains(err.Error(), part) {
				t.Errorf("%v does not say %q", err, part)
			}
		}
	}
}
