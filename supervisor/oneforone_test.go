package supervisor

import (
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/bulwark-go/bulwark/supervisor/intensity"
)

func allow(restarts int, period time.Duration) Config {
	return Config{Intensity: intensity.Config{Restarts: restarts, Period: period}}
}

func TestAChildIsRestartedUpToTheIntensityAndStoppedByTheOneTooMany(t *testing.T) {
	bubble(t, func(k *kit) {
		k.family(must(t, allow(3, 10*time.Second)))
		for range 3 {
			k.send("boss/a", fail{"ouch"})
			k.noted("a restarting, a started")
		}
		k.send("boss/a", "works")
		k.noted("a works")
		if e := k.events(); len(e) != 0 {
			t.Errorf("gave up too early: %+v", e)
		}
		k.send("boss/a", fail{"the last"})
		k.noted("a stopped")
		want := GaveUp{Name: "boss", Supervisor: "boss", Child: "boss/a", Reason: "the last", Cause: CauseIntensity, Directive: Stop}
		if e := k.events(); !slices.Equal(e, []GaveUp{want}) {
			t.Errorf("events %+v, want %+v", e, want)
		}
		k.logged("ERROR supervisor gave up a child")
		k.send("boss", "works")
		k.send("boss/b", "works")
		k.noted("boss works, b works")
	})
}

func TestARestartCountsForExactlyAPeriod(t *testing.T) {
	for _, tt := range []struct {
		name  string
		after time.Duration
		want  string
	}{
		{"a period later it still counts", 10 * time.Second, "a stopped"},
		{"a nanosecond later it does not", 10*time.Second + 1, "a restarting, a started"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			bubble(t, func(k *kit) {
				k.family(must(t, allow(1, 10*time.Second)))
				time.Sleep(time.Hour)
				k.send("boss/a", fail{"ouch"})
				k.noted("a restarting, a started")
				time.Sleep(tt.after)
				k.send("boss/a", fail{"ouch"})
				k.noted(tt.want)
			})
		})
	}
}

func TestIntensityNeverStopsAtTheFirstFailure(t *testing.T) {
	bubble(t, func(k *kit) {
		k.family(must(t, Config{Name: "strict", Intensity: intensity.Config{Restarts: intensity.Never}}))
		k.send("boss/a", fail{"ouch"})
		k.noted("a stopped")
		if e := k.events(); len(e) != 1 || e[0].Source() != "strict" || e[0].Supervisor != "boss" {
			t.Errorf("events %+v", e)
		}
	})
}

func TestSiblingsShareOneHistory(t *testing.T) {
	bubble(t, func(k *kit) {
		k.family(must(t, allow(1, time.Second)))
		k.send("boss/a", fail{"ouch"})
		k.noted("a restarting, a started")
		k.send("boss/b", fail{"ouch"})
		k.noted("b stopped")
	})
}

func TestActorsSpawnedFromTheSamePropsHaveHistoriesOfTheirOwn(t *testing.T) {
	bubble(t, func(k *kit) {
		props := k.actorOf("boss", []spawn{{k.actorOf("a", nil), "a"}}, must(t, allow(20, time.Second)))
		var all sync.WaitGroup
		for i := range 8 {
			all.Go(func() {
				id := fmt.Sprintf("boss%d", i)
				if _, err := k.system.Root.SpawnNamed(props, id); err != nil {
					t.Error(err)
				}
			})
		}
		all.Wait()
		synctest.Wait()
		for i := range 8 {
			all.Go(func() {
				for range 20 {
					k.system.Root.Send(k.system.NewLocalPID(fmt.Sprintf("boss%d/a", i)), fail{"ouch"})
				}
			})
		}
		all.Wait()
		if e := k.events(); len(e) != 0 {
			t.Fatalf("gave up: %+v", e)
		}
		for i := range 8 {
			k.send(fmt.Sprintf("boss%d/a", i), fail{"one too many"})
		}
		if e := k.events(); len(e) != 8 {
			t.Errorf("%d gave up, want 8", len(e))
		}
	})
}

func TestTheHistorySurvivesARestartOfTheSupervisingActor(t *testing.T) {
	bubble(t, func(k *kit) {
		k.family(must(t, allow(1, time.Second)))
		k.send("boss/a", fail{"ouch"})
		k.noted("a restarting, a started")
		k.send("boss", fail{"ouch"}) // the root's default strategy restarts it
		k.noted("boss restarting, b stopped, a stopped, boss started, a started, b started")
		k.send("boss/a", fail{"ouch"})
		k.noted("a stopped")
	})
}

// dynasty spawns "king", supervised so, whose child "boss" has children a and b.
func (k *kit) dynasty(king, boss actor.PropsOption) {
	k.t.Helper()
	children := []spawn{{k.actorOf("a", nil), "a"}, {k.actorOf("b", nil), "b"}}
	k.root(k.actorOf("king", []spawn{{k.actorOf("boss", children, boss), "boss"}}, king), "king")
	k.noted("king started, boss started, a started, b started")
}

func TestExceedingTheIntensityHandsTheFailureUp(t *testing.T) {
	bubble(t, func(k *kit) {
		ouch := errors.New("ouch")
		reasons := make(chan any, 10)
		king := must(t, Config{}, Decide(func(reason any) Directive {
			reasons <- reason
			return Restart
		}))
		k.dynasty(king, must(t, allow(1, time.Minute)))
		for round := range 3 { // the history begins anew each time
			k.send("king/boss/a", fail{ouch})
			k.noted("a restarting, a started")
			k.send("king/boss/a", fail{ouch})
			k.noted("a stopped, boss restarting, b stopped, boss started, a started, b started")
			reason, ok := (<-reasons).(*TooManyRestartsError)
			want := TooManyRestartsError{Supervisor: "king/boss", Child: "king/boss/a", Restarts: 1, Period: time.Minute, Reason: ouch}
			if !ok || *reason != want || !errors.Is(reason, ErrTooManyRestarts) || !errors.Is(reason, ouch) {
				t.Errorf("round %d: handed up %+v", round, reason)
			}
		}
		want := GaveUp{
			Name: "king/boss", Supervisor: "king/boss", Child: "king/boss/a",
			Reason: ouch, Cause: CauseIntensity, Directive: Escalate,
		}
		if e := k.events(); !slices.Equal(e, []GaveUp{want, want, want}) {
			t.Errorf("events %+v", e)
		}
		k.logged("WARN supervisor gave up a child", "WARN supervisor gave up a child", "WARN supervisor gave up a child")
	})
}

func TestIntensitiesMultiplyAlongTheTree(t *testing.T) {
	bubble(t, func(k *kit) {
		k.dynasty(must(t, allow(2, time.Minute)), must(t, allow(3, time.Minute)))
		for range 3*4 - 1 {
			k.send("king/boss/a", fail{"ouch"})
		}
		if e := k.events(); len(e) != 2 {
			t.Errorf("after %d failures: events %+v", 3*4-1, e)
		}
		k.send("king/boss/a", fail{"ouch"}) // number 12
		if e := k.events(); len(e) != 4 || e[3].Child != "king/boss" || e[3].Directive != Stop {
			t.Errorf("events %+v", e)
		}
	})
}

func TestAResumeAboveLeavesNoChildSuspended(t *testing.T) {
	bubble(t, func(k *kit) {
		king := must(t, Config{}, Decide(func(any) Directive { return Resume }))
		k.dynasty(king, must(t, Config{}, Decide(func(any) Directive { return Escalate })))
		k.send("king/boss/a", fail{"ouch"})
		k.noted("a stopped")
		k.send("king/boss", "works")
		k.send("king/boss/b", "works")
		k.noted("boss works, b works")
	})
}

func TestDecideChooses(t *testing.T) {
	for _, tt := range []struct {
		name   string
		decide func(any) Directive
		noted  string
		logged []string
		cause  Cause
	}{
		{"restart", func(any) Directive { return Restart }, "a restarting, a started, a works", nil, ""},
		{"resume goes on with the same incarnation", func(any) Directive { return Resume }, "a works", nil, ""},
		{"stop", func(any) Directive { return Stop }, "a stopped", nil, ""},
		{
			"escalate stops where nobody is above", func(any) Directive { return Escalate }, "a stopped",
			[]string{"ERROR supervisor gave up a child"},
			CauseDecided,
		},
		{
			"a panic means restart", func(reason any) Directive { return reason.(Directive) }, "a restarting, a started, a works",
			[]string{"ERROR Decide panicked: taken for restart"},
			"",
		},
		{
			"nonsense means restart", func(any) Directive { return Escalate + 1 }, "a restarting, a started, a works",
			[]string{"ERROR Decide returned nonsense: taken for restart"},
			"",
		},
		{"no function means restart", nil, "a restarting, a started, a works", nil, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			bubble(t, func(k *kit) {
				k.family(must(t, Config{}, Decide(tt.decide)))
				k.send("boss/a", fail{"ouch"})
				k.send("boss/a", "works")
				k.noted(tt.noted)
				k.logged(tt.logged...)
				if e := k.events(); tt.cause == "" && len(e) > 0 || tt.cause != "" && (len(e) != 1 || e[0].Cause != tt.cause) {
					t.Errorf("events %+v", e)
				}
				k.send("boss/b", "works")
				k.noted("b works")
			})
		})
	}
}

func TestDecideSeesWhatTheChildPanickedWith(t *testing.T) {
	bubble(t, func(k *kit) {
		fatal := errors.New("fatal")
		k.family(must(t, Config{}, Decide(func(reason any) Directive {
			if err, ok := reason.(error); ok && errors.Is(err, fatal) {
				return Stop
			}
			return Restart
		})))
		k.send("boss/a", fail{"ouch"})
		k.noted("a restarting, a started")
		k.send("boss/a", fail{fmt.Errorf("disk: %w", fatal)})
		k.noted("a stopped")
	})
}

func TestAPanickingDecideIsStillBoundByTheIntensity(t *testing.T) {
	bubble(t, func(k *kit) {
		k.family(must(t, allow(2, time.Second), Decide(func(any) Directive { panic("undecided") })))
		for range 2 {
			k.send("boss/a", fail{"ouch"})
			k.noted("a restarting, a started")
		}
		k.send("boss/a", fail{"ouch"})
		k.noted("a stopped")
	})
}

func TestOnlyRestartsCount(t *testing.T) {
	bubble(t, func(k *kit) {
		verdicts := make(chan Directive, 10)
		k.family(must(t, allow(1, time.Minute), Decide(func(any) Directive { return <-verdicts })))
		for range 5 {
			verdicts <- Resume
			k.send("boss/a", fail{"ouch"})
		}
		verdicts <- Stop
		k.send("boss/b", fail{"ouch"})
		k.noted("b stopped")
		verdicts <- Restart
		k.send("boss/a", fail{"ouch"})
		k.noted("a restarting, a started")
	})
}

func TestEachDecisionIsPublishedAsProtoActorDoes(t *testing.T) {
	bubble(t, func(k *kit) {
		seen := make(chan actor.SupervisorEvent, 10)
		k.system.EventStream.Subscribe(func(e any) {
			if e, ok := e.(*actor.SupervisorEvent); ok {
				seen <- *e
			}
		})
		verdicts := make(chan Directive, 10)
		k.family(must(t, Config{}, Decide(func(any) Directive { return <-verdicts })))
		for _, tt := range []struct {
			verdict Directive
			want    actor.Directive
		}{{Restart, actor.RestartDirective}, {Resume, actor.ResumeDirective}, {Stop, actor.StopDirective}} {
			verdicts <- tt.verdict
			k.send("boss/a", fail{tt.verdict})
			if e := <-seen; e.Directive != tt.want || e.Child.Id != "boss/a" || e.Reason != tt.verdict {
				t.Errorf("%v: published %+v", tt.verdict, e)
			}
		}
	})
}
