package actors_test

import (
	"context"
	"fmt"
	"log/slog"
	"regexp"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/bulwark-go/bulwark/actors"
	"github.com/bulwark-go/bulwark/actors/actorstest"
	"github.com/bulwark-go/bulwark/patterns"
	"github.com/bulwark-go/bulwark/patterns/circuitbreaker"
)

func spawnBreaker(t testing.TB, guards *actors.Registry, name string, cfg circuitbreaker.Config, opts ...actors.Option) *circuitbreaker.Breaker {
	t.Helper()
	b, err := circuitbreaker.Spawn(guards, name, cfg, opts...)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func matches(pattern, s string) bool { return regexp.MustCompile(pattern).MatchString(s) }

// flip makes n events of type StateChanged.
func flip(t testing.TB, b *circuitbreaker.Breaker, n int) {
	t.Helper()
	for i := range n {
		if err := b.ForceClosed(t.Context(), 0, fmt.Sprint(i)); err != nil {
			t.Error(err)
		}
	}
}

func TestEventsOfOneGuardKeepTheirOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		guards := actorstest.NewRegistry(t)
		events, stop := guards.Subscribe(actors.Buffer(10_000), actors.Only[circuitbreaker.StateChanged]())
		defer stop()
		var wg sync.WaitGroup
		for g := range 8 {
			b := spawnBreaker(t, guards, fmt.Sprint("b", g), circuitbreaker.Config{})
			for range 2 {
				wg.Go(func() { flip(t, b, 100) })
			}
		}
		wg.Wait()
		synctest.Wait()
		last := map[string]uint64{}
		for range 8 * 200 {
			ev := (<-events).(circuitbreaker.StateChanged)
			if ev.Epoch != last[ev.Name]+1 && last[ev.Name] != 0 {
				t.Fatalf("%s: epoch %d after %d", ev.Name, ev.Epoch, last[ev.Name])
			}
			last[ev.Name] = ev.Epoch
		}
		if guards.Missed() != 0 || len(events) != 0 {
			t.Errorf("missed %d, left %d", guards.Missed(), len(events))
		}
	})
}

func TestASlowSubscriberIsToldWhatItMissedAndHarmsNobody(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		guards := actorstest.NewRegistry(t)
		b := spawnBreaker(t, guards, "b", circuitbreaker.Config{})
		changes := actors.Only[circuitbreaker.StateChanged]()
		slow, stopSlow := guards.Subscribe(actors.Buffer(3), changes, actors.From("b"))
		defer stopSlow()
		tiny, stopTiny := guards.Subscribe(actors.Buffer(-1), changes)
		defer stopTiny()
		quick, stopQuick := guards.Subscribe(actors.Buffer(100), changes)
		defer stopQuick()
		flip(t, b, 10)
		synctest.Wait()
		if len(quick) != 10 || len(slow) != 3 || len(tiny) != 1 {
			t.Errorf("%d, %d and %d events", len(quick), len(slow), len(tiny))
		}
		if got := guards.Missed(); got != 7+9 {
			t.Errorf("missed %d", got)
		}
		for want := range 3 {
			if ev := (<-slow).(circuitbreaker.StateChanged); ev.Note != fmt.Sprint(want) {
				t.Errorf("%+v", ev)
			}
		}
		flip(t, b, 1) // word of the loss comes before what comes after it
		synctest.Wait()
		missed, ok := (<-slow).(actors.Missed)
		if !ok || missed.Count != 7 || missed.Source() != "" {
			t.Errorf("%+v", missed)
		}
		if ev, ok := (<-slow).(circuitbreaker.StateChanged); !ok || ev.Note != "0" {
			t.Errorf("%+v", ev)
		}
		<-tiny
		flip(t, b, 2) // there is room for the word only
		synctest.Wait()
		if missed, ok := (<-tiny).(actors.Missed); !ok || missed.Count != 10 {
			t.Errorf("%+v", missed)
		}
		flip(t, b, 1)
		synctest.Wait()
		if missed, ok := (<-tiny).(actors.Missed); !ok || missed.Count != 2 {
			t.Errorf("%+v", missed)
		}
	})
}

func TestFiltersNarrow(t *testing.T) {
	type changed = circuitbreaker.StateChanged
	type configured = circuitbreaker.ConfigChanged
	about := func(note string) actors.SubscribeOption {
		return actors.Matching(func(ev actors.Event) bool { c, ok := ev.(changed); return ok && c.Note == note })
	}
	for _, tt := range []struct {
		name string
		opts []actors.SubscribeOption
		want []string
	}{
		{"no filter", nil, []string{"a:changed", "a:operated", "a:configured", "a:operated", "b:changed", "b:operated", "b:stopped"}},
		{"a nil option and a nil filter", []actors.SubscribeOption{nil, actors.Matching(nil)}, []string{"a:changed", "a:operated", "a:configured", "a:operated", "b:changed", "b:operated", "b:stopped"}},
		{"one type", []actors.SubscribeOption{actors.Only[changed]()}, []string{"a:changed", "b:changed"}},
		{"either of two types", []actors.SubscribeOption{actors.Only[configured](), actors.Only[actors.Stopped]()}, []string{"a:configured", "b:stopped"}},
		{"one guard", []actors.SubscribeOption{actors.From("a")}, []string{"a:changed", "a:operated", "a:configured", "a:operated"}},
		{"one guard, named as it may be spawned", []actors.SubscribeOption{actors.From(" a ")}, []string{"a:changed", "a:operated", "a:configured", "a:operated"}},
		{"either of two guards", []actors.SubscribeOption{actors.From("a"), actors.From("b")}, []string{"a:changed", "a:operated", "a:configured", "a:operated", "b:changed", "b:operated", "b:stopped"}},
		{"type and guard", []actors.SubscribeOption{actors.Only[changed](), actors.From("b")}, []string{"b:changed"}},
		{"guard and type", []actors.SubscribeOption{actors.From("b"), actors.Only[configured]()}, nil},
		{"two types and a guard", []actors.SubscribeOption{actors.From("b"), actors.Only[changed](), actors.Only[actors.Stopped]()}, []string{"b:changed", "b:stopped"}},
		{"filter", []actors.SubscribeOption{about("of b")}, []string{"b:changed"}},
		{"two filters", []actors.SubscribeOption{about("of a"), about("of b")}, nil},
		{"filter and guard", []actors.SubscribeOption{about("of a"), actors.From("b")}, nil},
		{"a filter that panics", []actors.SubscribeOption{actors.Matching(func(actors.Event) bool { panic("foreign code") })}, nil},
		{"an interface", []actors.SubscribeOption{actors.Only[actors.Event](), actors.From("b")}, []string{"b:changed", "b:operated", "b:stopped"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				guards := actorstest.NewRegistry(t)
				a, b := spawnBreaker(t, guards, "a", circuitbreaker.Config{}), spawnBreaker(t, guards, "b", circuitbreaker.Config{})
				events, stop := guards.Subscribe(tt.opts...)
				ctx := t.Context()
				for _, err := range []error{
					a.ForceOpen(ctx, 0, "of a"), a.Reconfigure(ctx, circuitbreaker.Config{Probes: 3}), b.ForceOpen(ctx, 0, "of b"), b.Stop(ctx),
				} {
					if err != nil {
						t.Fatal(err)
					}
				}
				synctest.Wait()
				stop()
				var got []string
				for ev := range events {
					switch ev.(type) {
					case changed:
						got = append(got, ev.Source()+":changed")
					case configured:
						got = append(got, ev.Source()+":configured")
					case actors.Operated:
						got = append(got, ev.Source()+":operated")
					case actors.Stopped:
						got = append(got, ev.Source()+":stopped")
					default:
						t.Errorf("unexpected %T", ev)
					}
				}
				if !slices.Equal(got, tt.want) {
					t.Errorf("got %v, want %v", got, tt.want)
				}
			})
		})
	}
}

func TestStoppingASubscription(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		guards := actorstest.NewRegistry(t)
		b := spawnBreaker(t, guards, "b", circuitbreaker.Config{})
		events, stop := guards.Subscribe()
		var wg sync.WaitGroup
		for range 4 {
			wg.Go(stop)
		}
		wg.Wait()
		stop()
		if _, open := <-events; open {
			t.Error("not closed")
		}
		flip(t, b, 3)
		other, stopOther := guards.Subscribe()
		if err := guards.Shutdown(t.Context()); err != nil {
			t.Error(err)
		}
		if ev, ok := (<-other).(actors.Stopped); !ok {
			t.Errorf("%+v", ev)
		}
		if _, open := <-other; open {
			t.Error("Shutdown does not close it")
		}
		stopOther()
		late, stopLate := guards.Subscribe()
		if _, open := <-late; open {
			t.Error("a subscription after Shutdown is not closed")
		}
		stopLate()
	})
}

//bulwark:bubble
func linger(*testing.T, *actors.Registry, *circuitbreaker.Breaker) { time.Sleep(time.Minute) }

// What subscribes to proto.actor's event stream runs on the publisher.
func TestASubscriberOfTheEventStreamHarmsNobody(t *testing.T) {
	for name, harm := range map[string]func(*testing.T, *actors.Registry, *circuitbreaker.Breaker){
		"panics":     func(*testing.T, *actors.Registry, *circuitbreaker.Breaker) { panic("foreign code") },
		"takes long": linger,
		"asks for a permit": func(t *testing.T, _ *actors.Registry, b *circuitbreaker.Breaker) {
			if p, err := b.Acquire(context.Background()); err == nil {
				p.Report(patterns.Success)
			}
		},
		"commands": func(t *testing.T, _ *actors.Registry, b *circuitbreaker.Breaker) {
			s, _ := b.Snapshot(context.Background())
			if s.Epoch < 20 {
				if err := b.ForceOpen(context.Background(), 0, ""); err != nil {
					t.Error(err)
				}
			}
		},
		"subscribes": func(_ *testing.T, guards *actors.Registry, _ *circuitbreaker.Breaker) {
			_, stop := guards.Subscribe()
			stop()
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				guards := actorstest.NewRegistry(t)
				b := spawnBreaker(t, guards, "b", circuitbreaker.Config{})
				heard := 0
				sub := guards.System().EventStream.Subscribe(func(ev any) {
					if _, ok := ev.(circuitbreaker.StateChanged); ok {
						heard++
						harm(t, guards, b)
					}
				})
				events, stop := guards.Subscribe(actors.Only[circuitbreaker.StateChanged]())
				start := time.Now()
				flip(t, b, 5)
				synctest.Wait()
				if len(events) < 5 || !time.Now().Equal(start) {
					t.Errorf("%d events after %v", len(events), time.Since(start))
				}
				stop()
				time.Sleep(time.Hour)
				synctest.Wait()
				guards.System().EventStream.Unsubscribe(sub)
				if heard < 5 {
					t.Errorf("heard %d", heard)
				}
				if s, _ := b.Snapshot(t.Context()); s.Restarts != 0 || !s.Balanced() {
					t.Errorf("%+v", s.Counts)
				}
			})
		})
	}
}

func TestEventsAreLoggedAtTheirLevel(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		log := &logbook{}
		guards := actorstest.NewRegistry(t, actors.WithLogger(nil), actors.WithLogger(slog.New(log)), nil)
		b := spawnBreaker(t, guards, "b", circuitbreaker.Config{ConsecutiveFailures: 1})
		flip(t, b, 1) // is not worth a warning
		if err := b.Reset(t.Context()); err != nil {
			t.Fatal(err)
		}
		p := acquire(t, b, patterns.Request{})
		p.Report(patterns.Failure)
		synctest.Wait()
		if got := log.all(); !matches(`^WARN guard event=\[[^\n]*from=closed to=open[^\n]*\]$`, got) {
			t.Errorf("logged %q", got)
		}
	})
}

func TestEveryEventSaysWhatItIs(t *testing.T) {
	for _, ev := range []actors.Event{
		actors.PermitReclaimed{Name: "g", Cause: actors.ReclaimedExpired},
		actors.Restarted{Name: "g", Restarts: 3, Repaired: true},
		actors.GaveUp{Name: "g", Reason: "why"},
		actors.Stopped{Name: "g", InFlight: 3},
	} {
		if got := ev.LogValue().String(); ev.Source() != "g" || !matches(`event=[a-z-]+ guard=g`, got) {
			t.Errorf("%T: %s", ev, got)
		}
	}
	if (actors.GaveUp{}).Level() != slog.LevelError || (actors.Stopped{}).Level() != slog.LevelInfo ||
		(actors.Missed{}).Level() != slog.LevelWarn || (actors.Restarted{}).Level() != slog.LevelWarn ||
		(actors.PermitReclaimed{}).Level() != slog.LevelWarn {
		t.Error("a level is wrong")
	}
	if got := (actors.Missed{Count: 3}).LogValue().String(); got != "[event=missed count=3]" {
		t.Error(got)
	}
}
