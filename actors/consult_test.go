package actors_test

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/bulwark-go/bulwark/actors"
	"github.com/bulwark-go/bulwark/actors/actorstest"
	"github.com/bulwark-go/bulwark/patterns"
)

// consultations are the ways in which a question reaches the rules.
var consultations = map[string]func(t *testing.T, g *deskGuard, in *inbox, question any) (any, error){
	"on the spot": func(t *testing.T, g *deskGuard, _ *inbox, question any) (any, error) {
		return g.Consult(t.Context(), question)
	},
	"in the queue": func(t *testing.T, g *deskGuard, _ *inbox, question any) (answer any, err error) {
		g.occupied(t, func() { answer, err = g.Consult(t.Context(), question) })
		return answer, err
	},
	"by message": func(t *testing.T, g *deskGuard, in *inbox, question any) (any, error) {
		in.ask(g.PID(), actors.Consult{Question: question})
		answer := in.next(t)
		if refused, ok := answer.(actors.Refused); ok {
			return nil, refused.Err
		}
		return answer, nil
	},
}

// consult runs f for each of them.
func consult(t *testing.T, c deskConfig, f func(t *testing.T, g *deskGuard, in *inbox, ask func(question any) (any, error))) {
	t.Helper()
	for name, how := range consultations {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				guards := actorstest.NewRegistry(t)
				g := spawnDesk(t, guards, c)
				in, asker := newInbox(t, guards.System()), newInbox(t, guards.System())
				f(t, g, in, func(question any) (any, error) { return how(t, g, asker, question) })
				g.snapshot(t)
			})
		})
	}
}

func TestAQuestionIsAnsweredByTheRules(t *testing.T) {
	consult(t, deskConfig{Limit: 3, Waiting: 10, Order: patterns.Keyed}, func(t *testing.T, g *deskGuard, _ *inbox, ask func(any) (any, error)) {
		acquire(t, g, patterns.Request{Key: "a", Weight: 2})
		if answer, err := ask(deskPeek{"a"}); err != nil || answer != (deskAnswer{Used: 2}) {
			t.Errorf("answer %+v, error %v", answer, err)
		}
		if answer, err := ask(deskBad{}); !errors.Is(err, errDeskBad) || answer != nil {
			t.Errorf("answer %+v, error %v", answer, err)
		}
		for _, unknown := range []any{nil, 7, struct{}{}} {
			if answer, err := ask(unknown); !errors.Is(err, actors.ErrUnsupported) || answer != nil {
				t.Errorf("answer %+v, error %v", answer, err)
			}
		}
		if got := g.snapshot(t); got.Asked != 1 || got.Restarts != 0 || got.Unknown != 0 {
			t.Errorf("%+v", got)
		}
	})
}

func TestWhatAQuestionTakesIsCounted(t *testing.T) {
	consult(t, deskConfig{Limit: 3, Waiting: 10, Every: time.Hour}, func(t *testing.T, g *deskGuard, in *inbox, ask func(any) (any, error)) {
		if answer, err := ask(deskTake{N: 5}); err != nil || answer != (deskAnswer{Taken: 1}) {
			t.Errorf("answer %+v, error %v", answer, err)
		}
		if got := g.snapshot(t); got.Asked != 5 || got.Counts.Granted != 1 || got.Success != 1 || got.Rejected != 4 {
			t.Errorf("%+v", got.Counts)
		}
		// It must not overtake those who wait, of whom it is told.
		queue(t, in, g, actors.Acquire{Ref: 1, Weight: 2})
		pass(2 * time.Hour)
		nextAs[actors.Granted](t, in)
		queue(t, in, g, actors.Acquire{Ref: 2, Weight: 3}, actors.Acquire{Ref: 3, Priority: patterns.Low})
		answer, err := ask(deskTake{N: 1})
		if err != nil {
			t.Fatal(err)
		}
		if a := answer.(deskAnswer); a.Taken != 0 || a.Behind.Waiting != 2 || a.Behind.Ahead != 3 {
			t.Errorf("answer %+v", a)
		}
	})
}

func TestAQuestionThatFreesServesWhoWaits(t *testing.T) {
	for _, dirty := range []bool{false, true} {
		for _, order := range orders {
			consult(t, deskConfig{Limit: 10, Waiting: 10, Order: order, Every: time.Hour}, func(t *testing.T, g *deskGuard, in *inbox, ask func(any) (any, error)) {
				start := time.Now()
				acquire(t, g, patterns.Request{Key: "a"})
				other := acquire(t, g, patterns.Request{Key: "b"}) // not in Keyed order: an hour later
				start2 := time.Now()
				queue(t, in, g, actors.Acquire{Ref: 1, Key: "a"}, actors.Acquire{Ref: 2, Key: "b"})
				if _, err := ask(deskClear{Key: "a", Dirty: dirty}); err != nil {
					t.Error(err)
				}
				synctest.Wait()
				if order == patterns.Keyed {
					if granted := nextAs[actors.Granted](t, in); granted.Ref != 1 || time.Since(start) != 0 {
						t.Errorf("granted %d after %v", granted.Ref, time.Since(start))
					}
				} else if nextAs[actors.Granted](t, in); time.Since(start2) != 0 {
					t.Errorf("%v: granted after %v", order, time.Since(start2))
				}
				other.Report(patterns.Success)
			})
		}
	}
}

func TestRulesThatAnswerNothingSaySo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		guards := actorstest.NewRegistry(t)
		s := spawnSem(t, guards, "sem", 1, 1)
		if _, err := s.Consult(t.Context(), deskPeek{}); !errors.Is(err, actors.ErrUnsupported) {
			t.Errorf("error %v", err)
		}
		in := newInbox(t, guards.System())
		in.ask(s.PID(), actors.Consult{Question: deskPeek{}})
		if r := nextAs[actors.Refused](t, in); !errors.Is(r.Err, actors.ErrUnsupported) {
			t.Errorf("%+v", r)
		}
		guards.System().Root.Send(s.PID(), actors.Consult{Question: deskPeek{}}) // nobody to answer
		s.snapshot(t)
	})
}

func TestAQuestionWhoseContextEndsIsGivenUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		guards := actorstest.NewRegistry(t)
		g := spawnDesk(t, guards, deskConfig{Limit: 1, Waiting: 1})
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		free := g.machine.occupy(func() { g.Snapshot(t.Context()) })
		start := time.Now()
		answer, err := g.Consult(ctx, deskPeek{})
		if !errors.Is(err, context.DeadlineExceeded) || answer != nil || time.Since(start) != time.Minute {
			t.Errorf("answer %v, error %v after %v", answer, err, time.Since(start))
		}
		if _, err := g.Consult(ctx, deskPeek{}); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("error %v", err)
		}
		free()
		g.snapshot(t)
	})
}

func TestAQuestionThatTheRulesPanicOnIsAnswered(t *testing.T) {
	consult(t, deskConfig{Limit: 1, Waiting: 10}, func(t *testing.T, g *deskGuard, in *inbox, ask func(any) (any, error)) {
		held := acquire(t, g, patterns.Request{})
		queue(t, in, g, actors.Acquire{Ref: 1})
		for i, fail := range []func(){
			func() { g.machine.panicIn = "Consult" },
			func() { actorstest.Crash(t, g, actorstest.At(actors.Consult{})) },
			func() { actorstest.Crash(t, g, actorstest.AfterDeciding(actors.Consult{})) },
		} {
			fail()
			synctest.Wait()
			if answer, err := ask(deskTake{N: 2}); !errors.Is(err, actors.ErrFailed) || answer != nil {
				t.Errorf("answer %v, error %v", answer, err)
			}
			synctest.Wait()
			if got := g.snapshot(t); got.Restarts != uint64(i+1) || got.Waiting != 1 || got.InFlight != 1 || got.Epoch != 1 {
				t.Errorf("%+v", got)
			}
		}
		if !held.Report(patterns.Success) {
			t.Error("the permit was lost")
		}
		nextAs[actors.Granted](t, in)
	})
}

func TestAGuardThatStopsAnswersNoQuestions(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		guards := actorstest.NewRegistry(t)
		g := spawnDesk(t, guards, deskConfig{Limit: 1, Waiting: 1})
		in := newInbox(t, guards.System())
		held := acquire(t, g, patterns.Request{})
		var wg sync.WaitGroup
		wg.Go(func() {
			if err := g.Stop(t.Context()); err != nil {
				t.Error(err)
			}
		})
		synctest.Wait()
		stopped := func(when string, err error) {
			t.Helper()
			if !errors.Is(err, actors.ErrStopped) || !errors.Is(err, patterns.ErrRejected) {
				t.Errorf("%s: error %v", when, err)
			}
		}
		_, err := g.Consult(t.Context(), deskPeek{})
		stopped("draining", err)
		in.ask(g.PID(), actors.Consult{Question: deskPeek{}})
		stopped("draining, by message", nextAs[actors.Refused](t, in).Err)
		held.Report(patterns.Success)
		wg.Wait()
		_, err = g.Consult(t.Context(), deskPeek{})
		stopped("stopped", err)
		in.ask(g.PID(), actors.Consult{Question: deskPeek{}})
		in.next(t) // a dead letter's response
	})
}

func TestAllocsOfAQuestion(t *testing.T) {
	guards := actorstest.NewRegistry(t)
	g := spawnDesk(t, guards, deskConfig{Limit: 1, Waiting: 1})
	ctx := t.Context()
	allocs(t, 2, func() { // the question and the answer, boxed
		if _, err := g.Consult(ctx, deskPeek{Key: "k"}); err != nil {
			t.Fatal(err)
		}
	})
}

func TestWhatIsToldIsNotWaitedFor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := spawnDesk(t, actorstest.NewRegistry(t), deskConfig{Limit: 3, Waiting: 10})
		if err := g.Tell(deskTake{N: 1}); err != nil {
			t.Error(err)
		}
		told := make(chan error)
		free := g.machine.occupy(func() { g.Snapshot(t.Context()) })
		go func() { told <- g.Tell(deskTake{N: 1}) }()
		if err := <-told; err != nil { // though the turn is not over
			t.Error(err)
		}
		free()
		if got := g.snapshot(t); got.Asked != 2 || got.Success != 2 {
			t.Errorf("%+v", got.Counts)
		}
		actorstest.Crash(t, g, actorstest.At(actors.Consult{}))
		if err := g.Tell(deskTake{N: 1}); !errors.Is(err, actors.ErrFailed) {
			t.Errorf("in a turn that panics: %v", err)
		}
		if err := g.Tell(deskTake{N: 1}); err != nil { // while it restarts, or after
			t.Error(err)
		}
		synctest.Wait()
		if got := g.snapshot(t); got.Asked != 3 || got.Restarts != 1 {
			t.Errorf("%+v", got.Counts)
		}
		if err := g.Stop(t.Context()); err != nil {
			t.Fatal(err)
		}
		if err := g.Tell(deskTake{N: 1}); !errors.Is(err, actors.ErrStopped) {
			t.Errorf("after it stopped: %v", err)
		}
		if g.Plan() != nil {
			t.Error("has a plan, and is no Planner")
		}
	})
}

func TestWhatWasToldAndNotTakenIsLogged(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log bytes.Buffer
		g := spawnDesk(t, actorstest.NewRegistry(t, actors.WithLogger(slog.New(slog.NewTextHandler(&log, nil)))), deskConfig{Limit: 1})
		g.occupied(t, func() {
			if err := g.Tell(struct{}{}); err != nil {
				t.Error(err)
			}
		})
		synctest.Wait()
		if got := log.String(); !strings.Contains(got, "level=WARN") || !strings.Contains(got, "not taken") || !strings.Contains(got, "guard=desk") {
			t.Errorf("logged %q", got)
		}
	})
}
