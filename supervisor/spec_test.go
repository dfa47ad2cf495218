package supervisor

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/bulwark-go/bulwark/patterns"
)

// tree is a Spec with two levels, of actors that note their lives.
func (k *kit) tree() Spec {
	return Spec{
		Name:   "shop",
		Config: Config{Intensity: IntensityConfig{Restarts: 2, Period: time.Minute}},
		Children: []Child{
			{Name: "log", Props: k.actorOf("log", nil)},
			{
				Tree: &Spec{
					Name:   "store",
					Config: Config{Scope: Rest, Intensity: IntensityConfig{Restarts: 1, Period: time.Minute}},
					Children: []Child{
						{Name: "disk", Props: k.actorOf("disk", nil)},
						{Name: "index", Props: k.actorOf("index", nil), Type: Transient},
						{Name: "scan", Props: k.actorOf("scan", nil), Type: Temporary},
					},
				},
			},
		},
	}
}

func (k *kit) start(spec Spec) *Root {
	k.t.Helper()
	r, err := Start(k.t.Context(), k.system, spec)
	if err != nil {
		k.t.Fatal(err)
	}
	synctest.Wait()
	return r
}

func TestATreeIsStartedFromItsSpecAndRestartedAsItSays(t *testing.T) {
	bubbles(t, func(k *kit) {
		r := k.start(k.tree())
		k.noted("log started, disk started, index started, scan started")
		if r.PID().Id != "shop" {
			k.t.Errorf("the top is %v", r.PID())
		}
		k.send("shop/store/index", fail{"ouch"})
		k.noted("index restarting, index started, scan restarting, scan started")
		k.send("shop/store/disk", fail{"ouch"}) // one too many for store, which is restarted by shop
		k.noted("disk stopped, index stopped, scan stopped, disk started, index started, scan started")
		want := GaveUp{
			Name: "shop/store", Supervisor: "shop/store", Child: "shop/store/disk", Reason: "ouch", Cause: CauseIntensity, Directive: Escalate,
		}
		if e := k.events(); len(e) != 1 || e[0] != want {
			k.t.Errorf("events %+v", e)
		}
		k.works("shop/log", "shop/store/disk", "shop/store/index", "shop/store/scan")
		if err := r.Shutdown(k.t.Context()); err != nil {
			k.t.Error(err)
		}
		k.alone()
	})
}

func TestTypesSayWhatEndingsAreMended(t *testing.T) {
	bubbles(t, func(k *kit) {
		k.start(k.tree())
		k.noted("log started, disk started, index started, scan started")
		k.stopped("shop/store/scan")
		k.stopped("shop/store/index")
		k.noted("index stopped, scan stopped")
		k.changed("shop/store/scan running>stopped , shop/store/index running>stopped ")
		k.stopped("shop/log") // permanent
		k.noted("log stopped, log started")
		k.works("shop/log")
		k.changed("shop/log restarted 1")
		b, _ := TreeOf(k.t.Context(), k.system, k.pid("shop"))
		if len(b.Children) != 2 || b.Children[0].Name != "log" || b.Children[0].Restarts != 1 || b.Children[0].Type != Permanent {
			k.t.Errorf("tree\n%v", b)
		}
		k.send("shop/log", fail{"ouch"})
		k.noted("log restarting, log started")
		k.stopped("shop/log") // the third restart of two, and nobody is above
		k.noted("log stopped")
		if e := k.events(); len(e) != 1 || e[0].Child != "shop/log" || e[0].Directive != Stop {
			k.t.Errorf("events %+v", e)
		}
		k.works("shop/store/disk")
	})
}

func TestATemporaryChildIsStoppedByAFailure(t *testing.T) {
	bubbles(t, func(k *kit) {
		k.start(k.tree())
		k.noted("log started, disk started, index started, scan started")
		k.send("shop/store/scan", fail{"ouch"})
		k.noted("scan stopped")
		k.works("shop/store/index")
	})
}

func TestAPermanentChildThatEndsTakesItsGroupAlong(t *testing.T) {
	bubbles(t, func(k *kit) {
		k.start(k.tree())
		k.noted("log started, disk started, index started, scan started")
		k.stopped("shop/store/disk")
		k.noted("disk stopped, disk started, index restarting, index started, scan restarting, scan started")
		k.works("shop/store/disk", "shop/store/index")
	})
}

func TestADismissedChildStaysAway(t *testing.T) {
	bubbles(t, func(k *kit) {
		k.start(k.tree())
		k.noted("log started, disk started, index started, scan started")
		if err := Dismiss(k.t.Context(), k.system, k.pid("shop/log")); err != nil {
			k.t.Error(err)
		}
		k.noted("log stopped")
		if err := Dismiss(k.t.Context(), k.system, k.pid("shop/log")); !errors.Is(err, ErrNotSupervised) {
			k.t.Errorf("got %v", err)
		}
		if err := Dismiss(k.t.Context(), k.system, k.pid("nobody/a")); !errors.Is(err, ErrNotSupervised) {
			k.t.Errorf("got %v", err)
		}
		if err := Release(k.t.Context(), k.system, k.pid("shop")); !errors.Is(err, ErrNotSupervised) {
			k.t.Errorf("got %v", err)
		}
	})
}

func TestAnOperatorDoesNotWaitForABusySupervisorForEver(t *testing.T) {
	bubbles(t, func(k *kit) {
		k.family(must(k.t, Config{}))
		block := make(chan struct{})
		k.send("boss", wait{block})
		ctx, cancel := context.WithTimeout(k.t.Context(), time.Second)
		defer cancel()
		if err := Dismiss(ctx, k.system, k.pid("boss/a")); !errors.Is(err, context.DeadlineExceeded) {
			k.t.Errorf("got %v", err)
		}
		close(block)
		k.noted("a stopped") // the command was sent
	})
}

func TestTypesWorkForActorsOfOnesOwn(t *testing.T) {
	bubbles(t, func(k *kit) {
		types := map[string]RestartType{"a": Permanent, "b": Temporary}
		k.family(must(k.t, Config{}, Types(func(name string) RestartType { return types[name] })))
		k.stopped("boss/a")
		k.noted("a stopped, a started")
		k.send("boss/b", fail{"ouch"})
		k.noted("b stopped")
		k.send("boss", fail{"ouch"}) // restarted by the root's default strategy
		k.noted("a stopped, boss restarting, boss started, a started, b started")
		k.stopped("boss/a")
		k.noted("a stopped, a started")
		k.stopped("boss")
		k.noted("a stopped, b stopped, boss stopped")
		k.alone()
	})
}

func TestTypesThatPanicOrAreNonsenseAreTransient(t *testing.T) {
	for what, types := range map[string]func(string) RestartType{
		"panicked":          func(string) RestartType { panic("ouch") },
		"returned nonsense": func(string) RestartType { return 9 },
	} {
		bubble(t, func(k *kit) {
			k.family(must(t, Config{}, Types(types)))
			k.stopped("boss/a")
			k.noted("a stopped")
			k.send("boss/b", fail{"ouch"})
			k.noted("b restarting, b started")
			line := "ERROR Types " + what + ": taken for transient"
			k.logged(line, line)
		})
	}
}

func TestAPermanentChildThatCannotBeSpawnedFails(t *testing.T) {
	bubbles(t, func(k *kit) {
		var broken atomic.Bool
		props := actor.PropsFromProducer(func() actor.Actor {
			if broken.Load() {
				panic("no more actors")
			}
			return actor.ReceiveFunc(func(c actor.Context) {
				if msg, ok := c.Message().(echo); ok {
					c.Respond(msg)
				}
			})
		})
		k.start(Spec{Name: "top", Config: Config{Backoff: BackoffConfig{Base: time.Second, Jitter: -1}}, Children: []Child{{Name: "a", Props: props}}})
		broken.Store(true)
		k.stopped("top/a")
		k.changed("top/a running>restarting backoff for 1s")
		k.sleep(time.Second)
		k.changed("top/a restarting>running restarted, top/a running>restarting backoff for 2s")
		broken.Store(false)
		k.sleep(2 * time.Second)
		k.changed("top/a restarting>running restarted, top/a restarted 2")
		k.works("top/a")
	})
}

func TestASpecIsCheckedWithEveryFault(t *testing.T) {
	props := actor.PropsFromFunc(func(actor.Context) {})
	spec := Spec{
		Name: "a/b", Shutdown: 9, Config: Config{Scope: 9},
		Children: []Child{
			{Name: "", Props: props},
			{Name: "x", Props: props, Type: 9, Shutdown: -9},
			{Name: "x"},
			{Name: "y", Props: props, Tree: &Spec{Name: "z", Config: Config{HoldFor: -9}}},
		},
	}
	err := spec.Validate()
	var got []string
	for _, e := range err.(interface{ Unwrap() []error }).Unwrap() {
		c, _ := errors.AsType[*patterns.ConfigError](e)
		got = append(got, c.Field)
	}
	want := []string{
		"/a/b: Name", "/a/b: Shutdown", "/a/b: Config.Scope",
		"/a/b: Children[0].Name",
		"/a/b: Children[1].Type", "/a/b: Children[1].Shutdown",
		"/a/b: Children[2].Name", "/a/b: Children[2].Props",
		"/a/b: Children[3].Name", "/a/b: Children[3].Props",
		"/a/b/z: Config.HoldFor",
	}
	if !slices.Equal(got, want) {
		t.Errorf("faults\n%q, want\n%q", got, want)
	}
	bubble(t, func(k *kit) {
		if _, err := Start(k.t.Context(), k.system, spec); err == nil || !strings.Contains(err.Error(), "Children[1].Type") {
			t.Errorf("started: %v", err)
		}
	})
	if err := (Spec{Name: "empty"}).Validate(); err != nil {
		t.Error(err)
	}
}

func TestATreeThatCannotBeStartedIsStoppedAgain(t *testing.T) {
	for _, tt := range []struct {
		name   string
		broken Child
		want   string
	}{
		{"a producer panics", Child{Name: "bad", Props: actor.PropsFromProducer(func() actor.Actor { panic("ouch") })}, "shop/bad: its producer panicked: ouch"},
		{
			"a producer below panics",
			Child{Tree: &Spec{Name: "sub", Children: []Child{
				{Name: "bad", Props: actor.PropsFromProducer(func() actor.Actor { panic("ouch") })},
			}}},
			"shop/sub/bad: its producer panicked: ouch",
		},
		{"a name is taken", Child{Name: "taken", Props: actor.PropsFromFunc(func(actor.Context) {})}, "shop/taken: spawn: name exists"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			bubbles(t, func(k *kit) {
				k.root(actor.PropsFromFunc(func(actor.Context) {}), "shop/taken")
				spec := k.tree()
				spec.Children = append(spec.Children, tt.broken)
				r, err := Start(k.t.Context(), k.system, spec)
				if r != nil || err == nil || !strings.Contains(err.Error(), tt.want) {
					k.t.Errorf("got %v, want %s", err, tt.want)
				}
				k.stopped("shop/taken")
				k.alone()
			})
		})
	}
}

func TestATreeThatTakesTooLongToStartIsStopped(t *testing.T) {
	bubble(t, func(k *kit) {
		release := make(chan struct{})
		stuck := actor.PropsFromProducer(func() actor.Actor { <-release; return actor.ReceiveFunc(func(actor.Context) {}) })
		ctx, cancel := context.WithTimeout(k.t.Context(), time.Second)
		defer cancel()
		time.AfterFunc(1500*time.Millisecond, func() { close(release) })
		_, err := Start(ctx, k.system, Spec{Name: "shop", Children: []Child{{Name: "a", Props: stuck}}})
		if !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("got %v", err)
		}
		k.alone()
	})
}

func TestATreeOfTheSameNameIsAnError(t *testing.T) {
	bubble(t, func(k *kit) {
		k.start(Spec{Name: "shop"})
		if _, err := Start(k.t.Context(), k.system, Spec{Name: "shop"}); !errors.Is(err, actor.ErrNameExists) {
			t.Errorf("got %v", err)
		}
	})
}

func TestASpecCanBeChangedOnceItIsStarted(t *testing.T) {
	bubble(t, func(k *kit) {
		spec := k.tree()
		k.start(spec)
		spec.Children[1].Tree.Children[0].Name = "other"
		spec.Children[0].Name = "other"
		k.noted("log started, disk started, index started, scan started")
		k.stopped("shop/log")
		k.noted("log stopped, log started")
	})
}

func TestAChildThatCannotBeSpawnedWhenItsTreeRestartsFailsTheTree(t *testing.T) {
	bubble(t, func(k *kit) {
		var broken atomic.Bool
		flaky := actor.PropsFromProducer(func() actor.Actor {
			if broken.Load() {
				panic("ouch")
			}
			return actor.ReceiveFunc(func(c actor.Context) {
				if f, ok := c.Message().(fail); ok {
					panic(f.reason)
				}
			})
		})
		k.start(Spec{Name: "top", Config: Config{Intensity: IntensityConfig{Restarts: 1}}, Children: []Child{{
			Tree: &Spec{Name: "sub", Config: Config{Intensity: IntensityConfig{Restarts: -1}}, Children: []Child{{Name: "a", Props: flaky}}},
		}}})
		broken.Store(true)
		k.send("top/sub/a", fail{"ouch"}) // given up, sub restarts, cannot spawn a, fails, is given up
		e := k.events()
		if len(e) != 2 || e[1].Child != "top/sub" || !strings.Contains(fmt.Sprint(e[1].Reason), "its producer panicked") {
			t.Errorf("events %+v", e)
		}
	})
}

func TestOrdersHaveNames(t *testing.T) {
	for o, want := range map[Order]string{ByScope: "by-scope", LastFirst: "last-first", Together: "together", 9: "order(9)"} {
		if o.String() != want {
			t.Errorf("%q, want %q", o, want)
		}
	}
}
