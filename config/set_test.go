package config

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"reflect"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/bulwark-go/bulwark/actors"
	"github.com/bulwark-go/bulwark/actors/actorstest"
	"github.com/bulwark-go/bulwark/patterns"
	"github.com/bulwark-go/bulwark/patterns/bulkhead"
	"github.com/bulwark-go/bulwark/patterns/circuitbreaker"
)

const bank = `
guards:
  rooms: { bulkhead: { max_concurrent: 2 } }
  payments: { circuitbreaker: { consecutive_failures: 3, open_for: 30s } }
pipelines:
  inner: [ payments ]
  bank: [ rooms, inner ]
`

// logbook hears what a Set logs.
type logbook struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (b *logbook) Write(line []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.Write(line)
}

func (b *logbook) logger() *slog.Logger {
	return slog.New(slog.NewTextHandler(b, &slog.HandlerOptions{ReplaceAttr: func(_ []string, a slog.Attr) slog.Attr {
		if a.Key == slog.TimeKey {
			return slog.Attr{}
		}
		return a
	}}))
}

// take returns the lines since the last take.
func (b *logbook) take() []string {
	b.mu.Lock()
	defer b.mu.Unlock()
	lines := strings.Split(strings.TrimSpace(b.text.String()), "\n")
	b.text.Reset()
	return lines
}

// inSet runs f with a Set of text, in a bubble.
//
//bulwark:bubble
func inSet(t *testing.T, text string, f func(t *testing.T, guards *actors.Registry, s *Set, log *logbook), opts ...SetOption) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		guards, log := actorstest.NewRegistry(t), &logbook{}
		s, err := mustParse(t, text).Spawn(guards, append([]SetOption{WithLogger(log.logger())}, opts...)...)
		if err != nil {
			t.Fatal(err)
		}
		f(t, guards, s, log)
	})
}

func names(guards *actors.Registry) (all []string) {
	for name := range guards.Guards() {
		all = append(all, name)
	}
	return all
}

// replaced is text with each odd of pairs in place of the one before it.
func replaced(t testing.TB, text string, pairs ...string) *File {
	t.Helper()
	return mustParse(t, strings.NewReplacer(pairs...).Replace(text))
}

func fail(t *testing.T, g patterns.Guard, n int) {
	t.Helper()
	for range n {
		if err := patterns.Run(t.Context(), g, func(context.Context) error { return errors.New("down") }); err == nil || errors.Is(err, patterns.ErrRejected) {
			t.Fatalf("did not run: %v", err)
		}
	}
}

func TestWhatAFileDeclaresIsFoundByName(t *testing.T) {
	inSet(t, bank, func(t *testing.T, guards *actors.Registry, s *Set, log *logbook) {
		if g, ok := s.Guard("rooms"); !ok || reflect.TypeOf(g) != reflect.TypeFor[*bulkhead.Bulkhead]() {
			t.Errorf("%T, %v", g, ok)
		}
		if b, ok := circuitbreaker.Get(guards, "payments"); !ok || b.Pattern() != "circuitbreaker" {
			t.Error("the registry does not know it")
		}
		p, ok := s.Pipeline("bank")
		if !ok || p.String() != "rooms ▶ (payments)" {
			t.Errorf("%v, %v", p, ok)
		}
		if _, ok := s.Guard("bank"); ok {
			t.Error("a pipeline was found as a guard")
		}
		if _, ok := s.Pipeline("rooms"); ok {
			t.Error("a guard was found as a pipeline")
		}
		want := `level=INFO msg="configuration applied" file=bulwark.yaml changes.spawned="[rooms payments]" changes.pipelines="[inner bank]"`
		if got := log.take(); !slices.Equal(got, []string{want}) {
			t.Errorf("logged %q", got)
		}
	})
}

func TestAllGuardsStartOrNone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		guards := actorstest.NewRegistry(t)
		f := mustParse(t, bank)
		errBroken := errors.New("broken")
		f.guards[1].kind.spawn = func(*actors.Registry, string, any) (*running, error) { return nil, errBroken }
		s, err := f.Spawn(guards)
		if s != nil || !errors.Is(err, errBroken) || err.Error() != "bulwark.yaml:4:15: guards.payments.circuitbreaker: cannot be started: broken" {
			t.Errorf("%v, %v", s, err)
		}
		if got := names(guards); got != nil {
			t.Errorf("left behind: %v", got)
		}
		if _, err := bulkhead.Spawn(guards, "rooms", bulkhead.Config{}); err != nil {
			t.Fatal(err)
		}
		_, err = mustParse(t, bank).Spawn(guards)
		if err == nil || err.Error() != "bulwark.yaml:3:12: guards.rooms.bulkhead: there is a guard of this name already, that is not of this file" {
			t.Errorf("%v", err)
		}
		if got := names(guards); !slices.Equal(got, []string{"rooms"}) {
			t.Errorf("there are %v", got)
		}
		if _, err := f.Spawn(nil); !errors.Is(err, actors.ErrNilRegistry) {
			t.Errorf("%v", err)
		}
	})
}

func TestAReloadChangesSettingsAndKeepsState(t *testing.T) {
	inSet(t, bank, func(t *testing.T, guards *actors.Registry, s *Set, log *logbook) {
		before, _ := s.Guard("payments")
		fail(t, before, 2) // of 3
		rooms, _ := s.Guard("rooms")
		out, err := rooms.Acquire(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		pipeline, _ := s.Pipeline("bank")
		log.take()
		changes, err := s.Reload(t.Context(), replaced(t, bank, "30s", "1m", "max_concurrent: 2", "max_waiting: 5"))
		if err != nil {
			t.Fatal(err)
		}
		want := "changed rooms.max_concurrent: 2 → default, rooms.max_waiting: default → 5, payments.open_for: 30s → 1m"
		if changes.String() != want {
			t.Errorf("%v, want %s", changes, want)
		}
		if got := log.take(); len(got) != 1 || !strings.Contains(got[0], `INFO msg="configuration applied"`) || !strings.Contains(got[0], "payments.open_for: 30s → 1m") {
			t.Errorf("logged %q", got)
		}
		after, _ := s.Guard("payments")
		if again, _ := s.Pipeline("bank"); after != before || again != pipeline {
			t.Error("they are not the same as before")
		}
		fail(t, after, 1) // the third
		opened := time.Now()
		err = patterns.Run(t.Context(), after, func(context.Context) error { return nil })
		if open, ok := errors.AsType[*circuitbreaker.OpenError](err); !ok || open.RetryAfter() != time.Minute {
			t.Errorf("at %v: %v, which is not open for a minute", opened, err)
		}
		if snapshot, ok := rooms.(*bulkhead.Bulkhead).Snapshot(t.Context()); !ok || snapshot.Active != 1 || snapshot.Limit != 10 {
			t.Errorf("%+v", snapshot)
		}
		if !out.Report(patterns.Success) {
			t.Error("a permit from before does not count")
		}
	})
}

func TestAReloadIsInTheNameOfItsFileOrOfWhoAsksForIt(t *testing.T) {
	inSet(t, bank, func(t *testing.T, guards *actors.Registry, s *Set, _ *logbook) {
		audits, stop := guards.Subscribe(actors.Only[actors.Operated]())
		defer stop()
		want := func(want ...string) {
			t.Helper()
			synctest.Wait()
			var got []string
			for len(audits) > 0 {
				e := (<-audits).(actors.Operated)
				got = append(got, fmt.Sprintf("%s: %s by %s because of %s, error %v", e.Name, e.What, e.By, e.Why, e.Err))
			}
			if !slices.Equal(got, want) {
				t.Errorf("announced %q, want %q", got, want)
			}
		}
		if _, err := s.Reload(t.Context(), replaced(t, bank, "30s", "1m")); err != nil {
			t.Fatal(err)
		}
		want("payments: reconfigure by bulwark.yaml because of reload, error <nil>")
		alice := actors.As(t.Context(), actors.Operator{Name: "alice"})
		if _, err := s.Reload(alice, replaced(t, bank, "30s", "2m")); err != nil {
			t.Fatal(err)
		}
		want("payments: reconfigure by alice because of reload, error <nil>")

		s.current.Load().guards["payments"].reconfigure = func(context.Context, any) error { return errors.New("stuck") }
		if _, err := s.Reload(t.Context(), replaced(t, bank, "30s", "3m", "max_concurrent: 2", "max_waiting: 5")); err == nil {
			t.Fatal("no error")
		}
		want("rooms: reconfigure by bulwark.yaml because of reload, error <nil>",
			"rooms: reconfigure by bulwark.yaml because of put back: the reload failed, error <nil>")
	})
}

func TestAReloadThatChangesNothingTouchesNothing(t *testing.T) {
	inSet(t, bank, func(t *testing.T, guards *actors.Registry, s *Set, log *logbook) {
		b, _ := circuitbreaker.Get(guards, "payments")
		if err := b.Reconfigure(t.Context(), circuitbreaker.Config{ConsecutiveFailures: 1}); err != nil { // by hand
			t.Fatal(err)
		}
		log.take()
		changes, err := s.Reload(t.Context(), replaced(t, bank, "30s", "0.5m", "{ max_concurrent: 2 }", "{ max_concurrent: 2, max_wait: off }"))
		if err != nil || !changes.None() || changes.String() != "nothing" {
			t.Errorf("%v, %v", changes, err)
		}
		if got := log.take(); len(got) != 1 || !strings.Contains(got[0], "configuration applied") {
			t.Errorf("logged %q", got)
		}
		fail(t, b, 1)
		if snapshot, _ := b.Snapshot(t.Context()); snapshot.State != circuitbreaker.Open {
			t.Errorf("what was set by hand is gone: %v", snapshot.State)
		}
	})
}

func TestAReloadIsRefusedWhole(t *testing.T) {
	inSet(t, bank, func(t *testing.T, guards *actors.Registry, s *Set, log *logbook) {
		if _, err := bulkhead.Spawn(guards, "taken", bulkhead.Config{}); err != nil {
			t.Fatal(err)
		}
		before := s.File()
		log.take()
		next := replaced(t, bank, "30s", "1m, on_failure: fail-closed, call_timeout: 1s", "bulkhead: { max_concurrent: 2 }", "backpressure: {}",
			"pipelines:", "  taken: { bulkhead: {} }\n  fresh: { bulkhead: {} }\npipelines:")
		_, err := s.Reload(t.Context(), next)
		want := []string{
			"bulwark.yaml:3:12: guards.rooms.backpressure: the guard that runs is a bulkhead: give another pattern another name",
			"bulwark.yaml:4:84: guards.payments.circuitbreaker.on_failure: fail-closed is fixed while the breaker runs, at fail-open",
			"bulwark.yaml:4:111: guards.payments.circuitbreaker.call_timeout: 1s is fixed while the breaker runs, at 0s",
			"bulwark.yaml:5:12: guards.taken.bulkhead: there is a guard of this name already, that is not of this file",
		}
		if err == nil || !slices.Equal(strings.Split(err.Error(), "\n"), want) {
			t.Errorf("got\n%v\nwant\n%s", err, strings.Join(want, "\n"))
		}
		if fault, ok := errors.AsType[*patterns.ConfigError](err); !ok || fault.Field != "OnFailure" {
			t.Errorf("no ConfigError in it: %v", fault)
		}
		if got := log.take(); len(got) != 1 || !strings.Contains(got[0], `WARN msg="configuration refused`) || !strings.Contains(got[0], "is fixed while the breaker runs") {
			t.Errorf("logged %q", got)
		}
		if got := names(guards); !slices.Equal(got, []string{"payments", "rooms", "taken"}) || s.File() != before {
			t.Errorf("there are %v", got)
		}
		if _, err := s.Reload(t.Context(), nil); !errors.Is(err, ErrNilFile) {
			t.Errorf("%v", err)
		}
	})
}

func TestWhatFailsHalfWayIsPutBack(t *testing.T) {
	inSet(t, bank, func(t *testing.T, guards *actors.Registry, s *Set, log *logbook) {
		stuck, _ := s.Guard("payments")
		errStuck := errors.New("stuck")
		s.current.Load().guards["payments"].reconfigure = func(context.Context, any) error { return errStuck }
		pipeline, _ := s.Pipeline("bank")
		log.take()
		_, err := s.Reload(t.Context(), replaced(t, bank, "max_concurrent: 2", "max_concurrent: 7", "30s", "1m",
			"pipelines:", "  fresh: { bulkhead: {} }\npipelines:", "[ payments ]", "[ payments, fresh ]"))
		if !errors.Is(err, errStuck) || err.Error() != "bulwark.yaml:4:15: guards.payments.circuitbreaker: cannot be changed: stuck" {
			t.Errorf("%v", err)
		}
		rooms, _ := bulkhead.Get(guards, "rooms")
		if snapshot, _ := rooms.Snapshot(t.Context()); snapshot.Limit != 2 {
			t.Errorf("the guard before it has a limit of %d", snapshot.Limit)
		}
		if got := names(guards); !slices.Equal(got, []string{"payments", "rooms"}) {
			t.Errorf("there are %v", got)
		}
		after, _ := s.Guard("payments")
		if again, _ := s.Pipeline("bank"); after != stuck || again != pipeline {
			t.Error("they are not the same as before")
		}
	})
}

func TestAReloadSpawnsWhatIsNewAndSwapsPipelines(t *testing.T) {
	inSet(t, bank, func(t *testing.T, guards *actors.Registry, s *Set, log *logbook) {
		old, _ := s.Pipeline("bank")
		changes, err := s.Reload(t.Context(), replaced(t, bank, "pipelines:", "  api: { ratelimiter: { rate: 1/s } }\npipelines:", "[ payments ]", "[ api, payments ]"))
		if err != nil || changes.String() != "spawned api; pipelines inner, bank" {
			t.Errorf("%v, %v", changes, err)
		}
		if p, _ := s.Pipeline("bank"); p == old || p.String() != "rooms ▶ (api ▶ payments)" || old.String() != "rooms ▶ (payments)" {
			t.Errorf("%v was %v", p, old)
		}
	})
}

func TestWhatTheFileNoLongerHasGoesOnUnlessItIsToStop(t *testing.T) {
	const less = "guards:\n  payments: { circuitbreaker: { consecutive_failures: 3, open_for: 30s } }\n"
	inSet(t, bank, func(t *testing.T, guards *actors.Registry, s *Set, log *logbook) {
		rooms, _ := s.Guard("rooms")
		changes, err := s.Reload(t.Context(), mustParse(t, less))
		if err != nil || changes.String() != "removed bank, inner, rooms" {
			t.Errorf("%v, %v", changes, err)
		}
		_, found := s.Pipeline("bank")
		if again, ok := s.Guard("rooms"); !ok || again != rooms || !found {
			t.Error("they are gone")
		}
		if changes, err := s.Reload(t.Context(), mustParse(t, less)); err != nil || !changes.None() {
			t.Errorf("they are removed again: %v, %v", changes, err)
		}
		changes, err = s.Reload(t.Context(), replaced(t, bank, "max_concurrent: 2", "max_concurrent: 3"))
		if again, _ := s.Guard("rooms"); err != nil || again != rooms || !strings.Contains(changes.String(), "rooms.max_concurrent: 2 → 3") {
			t.Errorf("when they are back: %v, %v", changes, err)
		}
	})
	inSet(t, bank, func(t *testing.T, guards *actors.Registry, s *Set, log *logbook) {
		rooms, _ := s.Guard("rooms")
		if _, err := rooms.Acquire(t.Context()); err != nil {
			t.Fatal(err)
		}
		log.take()
		began := time.Now()
		if changes, err := s.Reload(t.Context(), mustParse(t, less)); err != nil || changes.String() != "removed bank, inner, rooms" {
			t.Errorf("%v, %v", changes, err)
		}
		_, found := s.Pipeline("bank")
		if _, ok := s.Guard("rooms"); ok || found || !slices.Equal(names(guards), []string{"payments"}) {
			t.Error("they are not gone")
		}
		if took := time.Since(began); took != 5*time.Second {
			t.Errorf("a permit that was out had %v", took)
		}
		if got := log.take(); len(got) != 2 || !strings.Contains(got[1], "guards stopped with permits out") {
			t.Errorf("logged %q", got)
		}
	}, StopRemoved(5*time.Second))
}

func TestAGuardThatWasStoppedByOthersIsSpawnedAgain(t *testing.T) {
	inSet(t, bank, func(t *testing.T, guards *actors.Registry, s *Set, log *logbook) {
		rooms, _ := bulkhead.Get(guards, "rooms")
		if err := rooms.Stop(t.Context()); err != nil {
			t.Fatal(err)
		}
		changes, err := s.Reload(t.Context(), mustParse(t, bank))
		if err != nil || changes.String() != "spawned rooms; pipelines bank" {
			t.Errorf("%v, %v", changes, err)
		}
		p, _ := s.Pipeline("bank")
		if err := patterns.Run(t.Context(), p, func(context.Context) error { return nil }); err != nil {
			t.Error(err)
		}
	})
}

func TestReloadsComeOneAfterTheOther(t *testing.T) {
	inSet(t, bank, func(t *testing.T, guards *actors.Registry, s *Set, log *logbook) {
		s.turn <- struct{}{}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if _, err := s.Reload(ctx, mustParse(t, bank)); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("%v", err)
		}
		<-s.turn
		if _, err := s.Reload(t.Context(), mustParse(t, bank)); err != nil {
			t.Error(err)
		}
	})
}

func TestCallsGoOnWhileTheSetIsReloaded(t *testing.T) {
	inSet(t, bank, func(t *testing.T, guards *actors.Registry, s *Set, log *logbook) {
		files := []*File{
			mustParse(t, bank), replaced(t, bank, "max_concurrent: 2", "max_concurrent: 9"),
			replaced(t, bank, "pipelines:", "  more: { bulkhead: {} }\npipelines:", "[ payments ]", "[ more, payments ]"),
		}
		const callers, calls = 2, 200
		var all sync.WaitGroup
		for range callers {
			all.Go(func() {
				for range calls {
					p, ok := s.Pipeline("bank")
					if !ok {
						t.Error("the pipeline is gone")
						return
					}
					if err := patterns.Run(t.Context(), p, func(context.Context) error { return nil }); err != nil {
						t.Error(err)
					}
				}
			})
		}
		all.Go(func() {
			for i := range 60 {
				if _, err := s.Reload(t.Context(), files[i%len(files)]); err != nil {
					t.Error(err)
				}
			}
		})
		all.Wait()
		rooms, _ := bulkhead.Get(guards, "rooms")
		if snapshot, _ := rooms.Snapshot(t.Context()); snapshot.Active != 0 || snapshot.Granted != callers*calls {
			t.Errorf("%+v", snapshot)
		}
	})
}

func TestRetriesShareTheBudgetThatTheyName(t *testing.T) {
	const text = `
guards:
  again: { retry: { attempts: 2, backoff: { constant: { wait: 1ms } }, budget: few } }
  few: { retrybudget: { ratio: none, min_per_second: 1 } }
pipelines:
  bank: [ again ]
`
	attempts := func(t *testing.T, s *Set) (n int) {
		again, _ := s.Guard("again")
		for range 100 {
			_ = patterns.Run(t.Context(), again, func(context.Context) error { n++; return errors.New("down") })
		}
		return n
	}
	inSet(t, text, func(t *testing.T, guards *actors.Registry, s *Set, log *logbook) {
		if n := attempts(t, s); n <= 100 || n >= 150 {
			t.Errorf("with a budget of 10 there were %d attempts", n)
		}
		changes, err := s.Reload(t.Context(), replaced(t, text, ", budget: few", ""))
		if err != nil || changes.String() != "changed again.budget: few → default" {
			t.Errorf("%v, %v", changes, err)
		}
		if n := attempts(t, s); n != 200 {
			t.Errorf("without a budget there were %d attempts", n)
		}
		few, _ := s.Guard("few")
		if err := few.(interface{ Stop(context.Context) error }).Stop(t.Context()); err != nil {
			t.Fatal(err)
		}
		if changes, err = s.Reload(t.Context(), mustParse(t, text)); err != nil || changes.String() != "spawned few; changed again.budget: default → few" {
			t.Errorf("%v, %v", changes, err)
		}
		if n := attempts(t, s); n <= 100 || n >= 150 {
			t.Errorf("with a new budget there were %d attempts", n)
		}
		few, _ = s.Guard("few")
		if err := few.(interface{ Stop(context.Context) error }).Stop(t.Context()); err != nil {
			t.Fatal(err)
		}
		if changes, err = s.Reload(t.Context(), mustParse(t, text)); err != nil || changes.String() != "spawned few" {
			t.Errorf("%v, %v", changes, err)
		}
		if n := attempts(t, s); n <= 100 || n >= 150 {
			t.Errorf("with a budget in place of the one that was stopped there were %d attempts", n)
		}
	})
}

func TestAGuardThatFailsWhileItIsChangedRefusesTheReload(t *testing.T) {
	inSet(t, bank, func(t *testing.T, guards *actors.Registry, s *Set, log *logbook) {
		payments, _ := circuitbreaker.Get(guards, "payments")
		rooms, _ := bulkhead.Get(guards, "rooms")
		actorstest.Crash(t, payments, actorstest.At(actors.Reconfigure{}))
		next := replaced(t, bank, "max_concurrent: 2", "max_concurrent: 7", "30s", "1m")
		if _, err := s.Reload(t.Context(), next); !errors.Is(err, actors.ErrFailed) {
			t.Errorf("%v", err)
		}
		if snapshot, _ := rooms.Snapshot(t.Context()); snapshot.Limit != 2 {
			t.Errorf("the guard before it has a limit of %d", snapshot.Limit)
		}
		if _, err := s.Reload(t.Context(), next); err != nil {
			t.Errorf("once it was restarted: %v", err)
		}
		if snapshot, _ := rooms.Snapshot(t.Context()); snapshot.Limit != 7 {
			t.Errorf("then the limit is %d", snapshot.Limit)
		}
	})
}

func TestAGuardThatWasGivenUpRefusesToBeChangedUntilItIsStopped(t *testing.T) {
	inSet(t, bank, func(t *testing.T, guards *actors.Registry, s *Set, log *logbook) {
		payments, _ := circuitbreaker.Get(guards, "payments")
		actorstest.Crash(t, payments, actorstest.At(actors.Acquire{}), actorstest.Times(100))
		for range 100 {
			_, _ = payments.Acquire(t.Context())
		}
		if payments.Unguarded() == 0 {
			t.Fatal("it was not given up")
		}
		next := replaced(t, bank, "max_concurrent: 2", "max_concurrent: 7", "30s", "1m")
		if _, err := s.Reload(t.Context(), next); !errors.Is(err, actors.ErrUnavailable) {
			t.Errorf("%v", err)
		}
		if err := payments.Stop(t.Context()); err != nil {
			t.Fatal(err)
		}
		changes, err := s.Reload(t.Context(), next)
		if err != nil || changes.String() != "spawned payments; changed rooms.max_concurrent: 2 → 7; pipelines inner, bank" {
			t.Errorf("%v, %v", changes, err)
		}
	})
}
