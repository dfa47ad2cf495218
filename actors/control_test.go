package actors_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/bulwark-go/bulwark/actors"
	"github.com/bulwark-go/bulwark/actors/actorstest"
	"github.com/bulwark-go/bulwark/patterns"
	"github.com/bulwark-go/bulwark/patterns/bulkhead"
	"github.com/bulwark-go/bulwark/patterns/circuitbreaker"
	"github.com/bulwark-go/bulwark/patterns/ratelimiter"
)

var alice = actors.Operator{Name: "alice", Reason: "ticket 4711"}

// fleet is a registry with two breakers, a bulkhead and a limiter of several shards, and a
// record of who was told what.
type fleet struct {
	*actors.Registry
	t              *testing.T
	first, second  *circuitbreaker.Breaker
	rooms          *bulkhead.Bulkhead
	limiter        *ratelimiter.Limiter
	audits         <-chan actors.Event
	changedOfFirst <-chan actors.Event
}

//bulwark:bubble
func newFleet(t *testing.T) *fleet {
	f := &fleet{Registry: actorstest.NewRegistry(t), t: t}
	f.first, f.second = spawnBreaker(t, f.Registry, "first breaker", circuitbreaker.Config{}), spawnBreaker(t, f.Registry, "second", circuitbreaker.Config{})
	var err error
	if f.rooms, err = bulkhead.Spawn(f.Registry, "rooms", bulkhead.Config{MaxConcurrent: 1}); err != nil {
		t.Fatal(err)
	}
	f.limiter, err = ratelimiter.Spawn(f.Registry, "limiter", ratelimiter.Config{Rate: ratelimiter.MustParse("10/second")})
	if err != nil {
		t.Fatal(err)
	}
	var stop func()
	f.audits, stop = f.Subscribe(actors.Only[actors.Operated]())
	t.Cleanup(stop)
	f.changedOfFirst, stop = f.Subscribe(actors.Only[circuitbreaker.StateChanged](), actors.From("first breaker"))
	t.Cleanup(stop)
	return f
}

// said returns what was announced since it was last asked, in the order of the guards.
//
//bulwark:bubble
func (f *fleet) said() (all []string) {
	synctest.Wait()
	for len(f.audits) > 0 {
		e := (<-f.audits).(actors.Operated)
		outcome := "done"
		if e.Err != nil {
			outcome = "refused"
		}
		text := fmt.Sprintf("%s: %s %s by %s because %s", e.Name, e.What, outcome, e.By, e.Why)
		if !e.At.Equal(time.Now()) {
			text += ", at another time"
		}
		all = append(all, text)
	}
	slices.Sort(all)
	return all
}

//bulwark:bubble
func (f *fleet) wantSaid(want ...string) {
	f.t.Helper()
	if got := f.said(); !slices.Equal(got, want) {
		f.t.Errorf("announced\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

func TestAnOperatorSteersOneOrSomeOrAllGuards(t *testing.T) {
	const why = " by alice because ticket 4711"
	for _, tt := range []struct {
		name    string
		do      func(ctx context.Context, c actors.Control) (actors.Steered, error)
		steered actors.Steered
		said    []string
	}{
		{
			"one, by a name with spaces around it",
			func(ctx context.Context, c actors.Control) (actors.Steered, error) {
				return c.Named(" first breaker ").ForceOpen(ctx, time.Minute)
			},
			actors.Steered{Done: []string{"first breaker"}},
			[]string{"first breaker: force-open done" + why},
		},
		{
			"two, one of them named twice",
			func(ctx context.Context, c actors.Control) (actors.Steered, error) {
				return c.Named("second", "rooms", "second").Reset(ctx)
			},
			actors.Steered{Done: []string{"rooms", "second"}},
			[]string{"rooms: reset done" + why, "second: reset done" + why},
		},
		{
			"all of a pattern",
			func(ctx context.Context, c actors.Control) (actors.Steered, error) {
				return c.Following("circuitbreaker").MetricsOnly(ctx, 0)
			},
			actors.Steered{Done: []string{"first breaker", "second"}},
			[]string{"first breaker: metrics-only done" + why, "second: metrics-only done" + why},
		},
		{
			"all for which something is true",
			func(ctx context.Context, c actors.Control) (actors.Steered, error) {
				return c.Where(func(name string, g patterns.Guard) bool { return name == g.Name() && name[0] == 's' }).ForceClosed(ctx, 0)
			},
			actors.Steered{Done: []string{"second"}},
			[]string{"second: force-closed done" + why},
		},
		{
			"all that know what it means; the others are named, and say so themselves",
			func(ctx context.Context, c actors.Control) (actors.Steered, error) {
				return c.All().ForceOpen(ctx, time.Minute)
			},
			actors.Steered{Done: []string{"first breaker", "limiter", "second"}, Skipped: []string{"rooms"}},
			[]string{
				"first breaker: force-open done" + why, "limiter: force-open done" + why, "rooms: force-open refused" + why,
				"second: force-open done" + why,
			},
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				f := newFleet(t)
				got, err := tt.do(t.Context(), f.Control(alice))
				if err != nil || !slices.Equal(got.Done, tt.steered.Done) || !slices.Equal(got.Skipped, tt.steered.Skipped) {
					t.Errorf("%+v, %v, want %+v", got, err, tt.steered)
				}
				f.wantSaid(tt.said...)
			})
		})
	}
}

func TestTheReasonReachesThePatternsOwnEvent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFleet(t)
		if _, err := f.Control(alice).Named("first breaker").ForceOpen(t.Context(), 0); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		if e := (<-f.changedOfFirst).(circuitbreaker.StateChanged); e.Note != "ticket 4711" || e.To != circuitbreaker.ForcedOpen {
			t.Errorf("%+v", e)
		}
	})
}

func TestWhatCannotBeSteeredIsSaidByName(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFleet(t)
		ctx := t.Context()
		if err := f.second.Stop(ctx); err != nil {
			t.Fatal(err)
		}
		f.said()
		got, err := f.Control(alice).Named("first breaker", "second", "rooms", "no such guard", " ").ForceOpen(ctx, 0)
		if !slices.Equal(got.Done, []string{"first breaker"}) || got.Skipped != nil {
			t.Errorf("%+v", got)
		}
		failed, ok := errors.AsType[*actors.ControlError](err)
		if !ok || !slices.Equal(slices.Sorted(maps.Keys(failed.Guards)), []string{"", "no such guard", "rooms", "second"}) {
			t.Fatalf("%v", err)
		}
		for name, want := range map[string]error{
			"": actors.ErrName, "no such guard": actors.ErrUnknownGuard, "second": actors.ErrUnknownGuard, "rooms": actors.ErrUnsupported,
		} {
			if !errors.Is(failed.Guards[name], want) || !errors.Is(err, want) {
				t.Errorf("%q: %v, want %v", name, failed.Guards[name], want)
			}
		}
		if unknown, ok := errors.AsType[*actors.UnknownGuardError](err); !ok || unknown.Name != "no such guard" {
			t.Errorf("%v", err)
		}
		want := `4 of the guards failed: "": guard name is empty; "no such guard": no guard is named "no such guard"; "rooms": operation not supported by this pattern: bulkhead: Kind force-open: is not something a bulkhead can do; "second": no guard is named "second"`
		if err.Error() != want {
			t.Errorf("%v", err)
		}
		const why = ": force-open refused by alice because ticket 4711"
		f.wantSaid(why, "first breaker: force-open done by alice because ticket 4711", "no such guard"+why, "rooms"+why, "second"+why)
	})
}

func TestACommandOfNobodyOrForNobodyIsRefused(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFleet(t)
		ctx := t.Context()
		for _, tt := range []struct {
			name string
			of   actors.Selection
			want error
		}{
			{"no operator", f.Control(actors.Operator{Name: " ", Reason: "ticket 4711"}).All(), actors.ErrNoOperator},
			{"no names", f.Control(alice).Named(), actors.ErrNoGuard},
			{"a pattern that no guard follows", f.Control(alice).Following("circuitbraeker"), actors.ErrNoGuard},
			{"nothing fits", f.Control(alice).Where(nil), actors.ErrNoGuard},
			{"no registry", (*actors.Registry)(nil).Control(alice).All(), actors.ErrNilRegistry},
		} {
			if got, err := tt.of.Reset(ctx); !errors.Is(err, tt.want) || got.Done != nil {
				t.Errorf("%s: %+v, %v", tt.name, got, err)
			}
		}
		f.wantSaid()
		got, err := f.Control(alice).All().Operate(ctx, patterns.Operation{Kind: 99})
		if failed, ok := errors.AsType[*actors.ControlError](err); !ok || len(failed.Guards) != 4 || got.Skipped != nil {
			t.Errorf("a command that is none: %+v, %v", got, err)
		}
		if n := len(f.said()); n != 4 {
			t.Errorf("%d announcements", n)
		}
	})
}

func TestAGuardThatIsAwayHoldsUpNoOther(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		guards := actorstest.NewRegistry(t)
		busy := spawnSem(t, guards, "busy", 1, 0)
		free := busy.machine.occupy(func() { busy.Snapshot(context.Background()) })
		b := spawnBreaker(t, guards, "free", circuitbreaker.Config{})
		audits, stop := guards.Subscribe(actors.Only[actors.Operated]())
		defer stop()
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		got, err := guards.Control(alice).All().ForceOpen(ctx, 0)
		failed, ok := errors.AsType[*actors.ControlError](err)
		if !ok || len(failed.Guards) != 1 || !errors.Is(failed.Guards["busy"], context.DeadlineExceeded) || !slices.Equal(got.Done, []string{"free"}) {
			t.Errorf("%+v, %v", got, err)
		}
		if s, _ := b.Snapshot(t.Context()); s.State != circuitbreaker.ForcedOpen {
			t.Errorf("%v", s.State)
		}
		synctest.Wait()
		if len(audits) != 1 {
			t.Errorf("%d announcements while one is not decided", len(audits))
		}
		free()
		synctest.Wait()
		<-audits
		if e := (<-audits).(actors.Operated); e.Name != "busy" || !errors.Is(e.Err, actors.ErrUnsupported) || len(audits) != 0 {
			t.Errorf("%+v", e)
		}
	})
}

func TestSnapshotsOfSomeGuards(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFleet(t)
		all, err := f.Control(actors.Operator{}).All().Inspect(t.Context())
		if err != nil || !slices.Equal(slices.Sorted(maps.Keys(all)), []string{"first breaker", "limiter", "rooms", "second"}) {
			t.Errorf("%v, %v", all, err)
		}
		one, err := f.Control(alice).Named("second", "third").Inspect(t.Context())
		if s, ok := one["second"].(circuitbreaker.Snapshot); !ok || s.Name != "second" || !errors.Is(err, actors.ErrUnknownGuard) {
			t.Errorf("%v, %v", one, err)
		}
		f.wantSaid()
	})
}

func TestEveryCommandIsAnnouncedOnce(t *testing.T) {
	bob := actors.Operator{Name: "bob", Reason: "a hunch"}
	const byBob, byNobody = " by bob because a hunch", " by  because "
	rate := ratelimiter.MustParse("20/second")
	for _, tt := range []struct {
		name string
		do   func(ctx context.Context, f *fleet) error
		fail bool
		said string
	}{
		{"a method", func(ctx context.Context, f *fleet) error { return f.first.Reset(actors.As(ctx, bob)) }, false, "first breaker: reset done" + byBob},
		{"a method with a note of its own", func(ctx context.Context, f *fleet) error {
			return f.first.ForceOpen(actors.As(ctx, bob), 0, "this")
		}, false, "first breaker: force-open done by bob because this"},
		{"a method, and nobody says who", func(ctx context.Context, f *fleet) error { return f.first.Reset(ctx) }, false, "first breaker: reset done" + byNobody},
		{"an operation that says who", func(ctx context.Context, f *fleet) error {
			return f.first.Operate(actors.As(ctx, bob), patterns.Operation{By: "carol", Note: "that"})
		}, false, "first breaker: reset done by carol because that"},
		{"one without meaning", func(ctx context.Context, f *fleet) error {
			return f.rooms.Operate(actors.As(ctx, bob), patterns.Operation{Kind: patterns.ForceOpen})
		}, true, "rooms: force-open refused" + byBob},
		{"a panic", func(ctx context.Context, f *fleet) error {
			actorstest.Crash(f.t, f.first, actorstest.At(actors.Operate{}))
			return f.first.Reset(actors.As(ctx, bob))
		}, true, "first breaker: reset refused" + byBob},
		{"a panic after the rules have decided", func(ctx context.Context, f *fleet) error {
			actorstest.Crash(f.t, f.first, actorstest.AfterDeciding(actors.Reconfigure{}))
			return f.first.Reconfigure(actors.As(ctx, bob), circuitbreaker.Config{Probes: 3})
		}, true, "first breaker: reconfigure refused" + byBob},
		{"a guard that has stopped", func(ctx context.Context, f *fleet) error {
			_ = f.first.Stop(ctx)
			return f.first.Reset(actors.As(ctx, bob))
		}, true, "first breaker: reset refused" + byBob},
		{"a Config", func(ctx context.Context, f *fleet) error {
			return f.first.Reconfigure(actors.As(ctx, bob), circuitbreaker.Config{Probes: 3})
		}, false, "first breaker: reconfigure done" + byBob},
		{"a Config with a fault", func(ctx context.Context, f *fleet) error {
			return f.first.Reconfigure(actors.As(ctx, bob), circuitbreaker.Config{FailureRatio: 2})
		}, true, "first breaker: reconfigure refused" + byBob},
		{"a guard of several shards", func(ctx context.Context, f *fleet) error { return f.limiter.Reset(actors.As(ctx, bob)) }, false, "limiter: reset done" + byBob},
		{"a Config of several shards", func(ctx context.Context, f *fleet) error {
			return f.limiter.Reconfigure(actors.As(ctx, bob), ratelimiter.Config{Rate: rate})
		}, false, "limiter: reconfigure done" + byBob},
		{"a Config of several shards with a fault", func(ctx context.Context, f *fleet) error {
			return f.limiter.Reconfigure(actors.As(ctx, bob), ratelimiter.Config{})
		}, true, "limiter: reconfigure refused" + byBob},
		{"several shards that have stopped", func(ctx context.Context, f *fleet) error {
			_ = f.limiter.Stop(ctx)
			return f.limiter.Reset(actors.As(ctx, bob))
		}, true, "limiter: reset refused" + byBob},
		{"a message", func(ctx context.Context, f *fleet) error {
			return f.send(ctx, f.first.PID(), actors.Operate{Operation: patterns.Operation{By: "bob", Note: "a hunch"}})
		}, false, "first breaker: reset done" + byBob},
		{"a message that nobody signed", func(ctx context.Context, f *fleet) error {
			return f.send(ctx, f.first.PID(), actors.Operate{Operation: patterns.Operation{}})
		}, false, "first breaker: reset done by SENDER because "},
		{"a message that is refused", func(ctx context.Context, f *fleet) error {
			return f.send(ctx, f.rooms.PID(), actors.Operate{Operation: patterns.Operation{Kind: patterns.ForceOpen, By: "bob", Note: "a hunch"}})
		}, true, "rooms: force-open refused" + byBob},
		{"a message that panics", func(ctx context.Context, f *fleet) error {
			actorstest.Crash(f.t, f.first, actorstest.At(actors.Operate{}))
			return f.send(ctx, f.first.PID(), actors.Operate{Operation: patterns.Operation{By: "bob", Note: "a hunch"}})
		}, true, "first breaker: reset refused" + byBob},
		{"a message with a Config", func(ctx context.Context, f *fleet) error {
			return f.send(ctx, f.first.PID(), actors.Reconfigure{Config: circuitbreaker.Config{Probes: 3}, By: "bob", Note: "a hunch"})
		}, false, "first breaker: reconfigure done" + byBob},
		{"a message with another pattern's Config", func(ctx context.Context, f *fleet) error {
			return f.send(ctx, f.first.PID(), actors.Reconfigure{Config: 1})
		}, true, "first breaker: reconfigure refused by SENDER because "},
		{"a message for several shards", func(ctx context.Context, f *fleet) error {
			return f.send(ctx, f.limiter.PID(), actors.Operate{Operation: patterns.Operation{By: "bob", Note: "a hunch"}})
		}, false, "limiter: reset done" + byBob},
		{"a Config for several shards", func(ctx context.Context, f *fleet) error {
			return f.send(ctx, f.limiter.PID(), actors.Reconfigure{Config: ratelimiter.Config{Rate: rate}, By: "bob", Note: "a hunch"})
		}, false, "limiter: reconfigure done" + byBob},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				f := newFleet(t)
				if err := tt.do(t.Context(), f); (err != nil) != tt.fail {
					t.Errorf("error %v", err)
				}
				got := f.said()
				if len(got) != 1 || !matches("^"+strings.ReplaceAll(tt.said, "SENDER", `nonhost/\S+`)+"$", got[0]) {
					t.Errorf("announced %q, want %q", got, tt.said)
				}
			})
		})
	}
}

// send asks a guard as an actor does.
//
//bulwark:bubble
func (f *fleet) send(ctx context.Context, to *actor.PID, msg any) error {
	reply, err := actors.Ask[any](ctx, f.System(), to, msg)
	if refused, ok := reply.(actors.Refused); ok {
		return refused.Err
	}
	return err
}

func TestAnAuditEventReadsWell(t *testing.T) {
	for _, tt := range []struct {
		event actors.Operated
		level slog.Level
		want  string
	}{
		{
			actors.Operated{Name: "payments", By: "alice", Why: "ticket 4711", What: "force-open", For: time.Minute},
			slog.LevelInfo, "[event=operated guard=payments what=force-open for=1m0s by=alice why=ticket 4711 outcome=done]",
		},
		{
			actors.Operated{Name: "payments", By: "alice", What: actors.Reconfigured, Err: errors.New("no")},
			slog.LevelWarn, "[event=operated guard=payments what=reconfigure by=alice why= outcome=refused error=no]",
		},
	} {
		if got := tt.event.LogValue().String(); got != tt.want || tt.event.Level() != tt.level {
			t.Errorf("%v %s, want %v %s", tt.event.Level(), got, tt.level, tt.want)
		}
	}
}
